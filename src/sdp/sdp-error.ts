import { CloudsipError } from '../error.ts';

/** A session description that cannot be read. `code` begins with `sdp.`. */
export class SdpError extends CloudsipError {}
