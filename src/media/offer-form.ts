import { iceUfragOf, type MediaSection, type SessionDescription } from '../sdp/session-description.ts';
import { rtpProto, webProto } from './stream-form.ts';

/** What the last offer of a side says of ports, beside their numbers. */
export interface OfferForm {
  /** Streams with RTCP beside RTP. */
  readonly beside: readonly number[];
  /** Those of them that leave it to the answer. */
  readonly undecided: readonly number[];
  /** For each stream the one whose port it shares (`bundleHeads`); nothing where all have their own. */
  readonly heads: readonly number[];
}

/** One and the same where there is nothing to say: most calls remember no more. */
const none: readonly never[] = [];
export const plainForm: OfferForm = { beside: none, undecided: none, heads: none };

export function offerForm(description: SessionDescription, heads: readonly number[]): OfferForm {
  const { media } = description;
  const indexes = (test: (section: MediaSection) => boolean): readonly number[] =>
    heads.flatMap((head, index) => (test(media[head]!) ? [index] : []));
  const beside = indexes(hasRtcpBeside);
  const shares = heads.some((head, index) => head !== index);
  if (beside.length === 0 && !shares) return plainForm;
  // Each port has keys of its own there: it is worth as much to both sides as they agree on. Browsers cannot go back.
  const undecided = indexes(
    (section) =>
      hasRtcpBeside(section) &&
      section.rtcpMuxOnly.length === 0 &&
      webProto.test(section.proto) &&
      iceUfragOf(description, section) === undefined,
  );
  return { beside, undecided, heads: shares ? heads : none };
}

/** RTCP is told to come beside RTP. */
export function hasRtcpBeside({ proto, rtcpMux, rtcpMuxOnly }: MediaSection): boolean {
  return rtpProto.test(proto) && rtcpMux.length + rtcpMuxOnly.length > 0;
}
