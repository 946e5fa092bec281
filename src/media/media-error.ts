import { CloudsipError } from '../error.ts';

/**
 * Why media cannot be relayed. Codes: `media.sdp-unusable`, `media.ports-exhausted`, `media.sockets-exhausted`,
 * `media.address-not-local`, `media.bind-failed`, `media.answer-without-offer`, `media.branch-gone`,
 * `media.session-closed`, `media.port-range`, `media.forwarder-unavailable`.
 */
export class MediaError extends CloudsipError {}
