import type { RtcpForm } from '../sdp/readdress.ts';
import type { MediaSection, SessionDescription } from '../sdp/session-description.ts';
import type { MediaLeg } from './media-leg.ts';
import { hasRtcpBeside } from './offer-form.ts';
import { rtpProto, webProto } from './stream-form.ts';
import { isActive } from './stream-remote.ts';

/*
 * RTCP beside RTP on one port (RFC 5761, RFC 8858) is between us and each side by itself: where one has it and the
 * other has not, the relay takes the two apart and puts them together again.
 */

/**
 * An answer came. Who offered RTCP beside RTP gets it whatever the other side answers, if it can work. What the sender says
 * of itself is believed, though it may not have been asked.
 */
export function agreeOnRtcp({ media }: SessionDescription, sender: MediaLeg, receiver: MediaLeg): void {
  const { beside, undecided } = receiver.lastOffer;
  media.forEach((section, index) => {
    const mine = sender.pairs[index];
    const theirs = receiver.pairs[index];
    if (mine) mine.muxes = hasRtcpBeside(section);
    if (theirs)
      theirs.muxes = beside.includes(index) && (!undecided.includes(index) || hasRtcpBeside(section));
  });
}

/**
 * How the side that `receiver` faces is told of RTCP, by section. It is offered what it needs, and once it has RTCP
 * beside RTP it stays so, whatever the other side offers: some cannot go back.
 */
export function rtcpForms(
  description: SessionDescription,
  kind: 'offer' | 'answer',
  receiver: MediaLeg,
  heads: readonly number[],
): (RtcpForm | undefined)[] {
  const { media, bundles } = description;
  const keeps = receiver.pairs.some((pair) => pair?.muxes);
  // Whoever shares a port among streams has RTCP there as well (RFC 9143 7.1.3), and a browser takes it nowhere else:
  // it is none where nobody spoke of ICE.
  const isNeeded = ({ mid, proto }: MediaSection): boolean =>
    (receiver.ice !== undefined && webProto.test(proto)) ||
    (mid !== undefined && bundles.some((mids) => mids.includes(mid)));
  const formOf = (section: MediaSection, index: number): RtcpForm | undefined => {
    const pair = receiver.pairAt(index);
    if (!pair || !isActive(section) || !rtpProto.test(section.proto)) return undefined;
    if (kind === 'answer') return { beside: pair.muxes, alone: pair.muxes };
    // Who has agreed to it may still give it back (RFC 5761 5.1.1), but with ICE there is no candidate for it any more
    // (RFC 8839 4.2.5: what a=rtcp names is among the candidates).
    const alone = pair.muxes && receiver.ice !== undefined;
    return { beside: hasRtcpBeside(section) || keeps || isNeeded(section), alone };
  };
  return media.map((section, index) => {
    const head = heads[index]!;
    if (head === index) return formOf(section, index);
    const form = formOf(media[head]!, head);
    return form && { beside: form.beside && section.rtcpMux.length > 0, alone: form.alone };
  });
}
