import type { Endpoint } from '../net/address.ts';

/** One contact under which an address of record can be reached for a while (RFC 3261 10). */
export interface Binding {
  /** The user part of the address of record, unescaped. The domain is left out: our addresses come and go. */
  readonly aor: string;
  /** The URI as it was registered. */
  readonly contact: string;
  /** The other parameters of the Contact as given, with the leading semicolon: `;q=0.5;+sip.instance="…"`, or `''`. */
  readonly params: string;
  /** Preference in thousandths, 0 to 1000; 1000 where none was given. */
  readonly q: number;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  readonly callId: string;
  readonly cseq: number;
  /** Where the REGISTER came from: behind a NAT the only way back. */
  readonly received: Endpoint;
  /** The listener that the REGISTER came in by, `udp:10.0.0.15:5060`. */
  readonly listener: string;
  /** Route values to be put in front of requests to this contact, topmost first (RFC 3327). */
  readonly path: readonly string[];
  /** `''` where there was none. */
  readonly userAgent: string;
}
