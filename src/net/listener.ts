import type { Endpoint } from './address.ts';

export type TransportName = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

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
