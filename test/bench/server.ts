import type { Endpoint } from '../../src/net/address.ts';

/** A SIP server under measurement. */
export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Its first process; the others are below it. */
  readonly pid: number;
  /** What the callee registers with. */
  readonly password: string;
}

/** Who is called. */
export const callee = 'callee';
/** Who is called where a call stays. */
export const standing = 'standing';
