import { type Clock, systemClock } from '../../net/clock.ts';
import { LibcError } from '../../net/libc.ts';
import type { Listener } from '../../net/listener.ts';
import type { MessageHandler, Transport, TransportLog } from './transport.ts';
import { UdpBatched } from './udp-batched.ts';
import { UdpDgram } from './udp-dgram.ts';

export type UdpImplementation = 'auto' | 'batched' | 'dgram';

/**
 * Opens a UDP listener. `transport.listener` is `listener` itself, or for port 0 a new one with the port that
 * the system chose. Rejects with TransportError where the address cannot be bound, and with LibcError where
 * `implementation` is `batched` and system calls cannot be made; `auto`, the default, then falls back to dgram.
 */
export async function openUdp(
  listener: Listener,
  onMessage: MessageHandler,
  options: {
    readonly log: TransportLog;
    readonly implementation?: UdpImplementation;
    readonly clock?: Clock;
  },
): Promise<Transport> {
  const { log, implementation = 'auto', clock = systemClock } = options;
  if (implementation !== 'dgram') {
    try {
      return new UdpBatched(listener, onMessage, { log, clock });
    } catch (error) {
      if (implementation === 'batched' || !(error instanceof LibcError)) throw error;
      if (!fallbackTold)
        log.info({ reason: error.message }, 'UDP without batches: node:dgram serves instead');
      fallbackTold = true;
    }
  }
  return UdpDgram.open(listener, onMessage, { log, clock });
}

let fallbackTold = false;
