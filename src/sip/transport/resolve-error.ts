import { CloudsipError } from '../../error.ts';

/** A SIP URI leads to no address that a request could be sent to; the message says at what it failed. */
export class ResolveError extends CloudsipError {}
