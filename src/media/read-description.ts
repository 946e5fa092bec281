import { parseSessionDescription } from '../sdp/parse-session-description.ts';
import { SdpError } from '../sdp/sdp-error.ts';
import { connectionOf, type SessionDescription } from '../sdp/session-description.ts';
import { MediaError } from './media-error.ts';
import { isActive } from './stream-remote.ts';

/** A description that a relay can serve. Throws MediaError `media.sdp-unusable`. */
export function readDescription(sdp: string): SessionDescription {
  try {
    const description = parseSessionDescription(sdp);
    for (const section of description.media) {
      if (isActive(section) && !connectionOf(description, section)) {
        throw new SdpError(
          'sdp.connection-missing',
          `The ${section.media} stream has no c= line (RFC 8866 5.7).`,
        );
      }
    }
    return description;
  } catch (error) {
    if (!(error instanceof SdpError)) throw error;
    throw new MediaError('media.sdp-unusable', error.message, { cause: error });
  }
}
