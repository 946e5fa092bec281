import type { Clock } from '../../net/clock.ts';
import type { Listener } from '../../net/listener.ts';
import type { LogLimit } from '../../net/log-limit.ts';
import type { TransportCounters, TransportLog } from './transport.ts';

export interface UdpOptions {
  readonly log: TransportLog;
  readonly clock: Clock;
}

/** Messages that wait for the system to take them; what exceeds either is dropped and counted. */
export const MAX_WAITING_MESSAGES = 4096;
export const MAX_WAITING_BYTES: number = 16 * 1024 * 1024;

/** The longest payload of a datagram: 65,535 less the headers (RFC 768, 791; the IPv6 header does not count). */
export const MAX_PAYLOAD = { ipv4: 65507, ipv6: 65527 } as const;

/** Warns of something that the network can cause, once a second for each kind. */
export type Warn = (kind: string, details: object, text: string) => void;

export function limitedWarn(log: TransportLog, limit: LogLimit): Warn {
  return (kind, details, text) =>
    limit.line(kind, (suppressed) => log.warn(suppressed > 0 ? { ...details, suppressed } : details, text));
}

export function zeroCounters(): TransportCounters {
  return {
    received: 0,
    ignored: 0,
    receiveErrors: 0,
    sent: 0,
    sendErrors: 0,
    sendOverflows: 0,
    handlerErrors: 0,
  };
}

/** The listener itself, or one with the port that the system chose where port 0 was asked for. */
export function boundListener(listener: Listener, port: number): Listener {
  if (listener.bound.port !== 0) return listener;
  return { ...listener, bound: { address: listener.bound.address, port } };
}
