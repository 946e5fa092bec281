import { type Endpoint, formatEndpoint } from './address.ts';

export type TransportName = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

/** Those that the agent opens of itself, where nobody names listeners. */
export const servedTransports: readonly TransportName[] = ['udp'];

/**
 * A place where SIP arrives. What a socket binds and what the agent claims to be are two things behind a
 * 1-to-1 NAT, so both stand here. The object lives as long as its socket; only `advertised` changes, when the
 * cloud maps another public address.
 */
export interface Listener {
  readonly transport: TransportName;
  readonly bound: Endpoint;
  /** What hosts outside the local networks are told; absent where the bound address is told to all. */
  advertised: Endpoint | undefined;
}

/** `udp:10.0.0.15:5060`: the name of a listener in stores and logs; what it advertises may change under it. */
export function listenerKey(listener: Listener): string {
  return `${listener.transport}:${formatEndpoint(listener.bound)}`;
}
