import type { RtcpForm } from '../sdp/readdress.ts';
import type { MediaSection, SessionDescription } from '../sdp/session-description.ts';
import type { MediaError } from './media-error.ts';
import type { MediaLeg } from './media-leg.ts';
import { hasRtcpBeside } from './offer-form.ts';
import type { PortPair } from './port-pair.ts';
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
export function agreeOnRtcp(
  { media }: SessionDescription,
  sender: MediaLeg,
  receiver: MediaLeg,
  failed: (error: MediaError) => void,
): void {
  const { beside, undecided } = receiver.lastOffer;
  media.forEach((section, index) => {
    const mine = sender.pairs[index];
    const theirs = receiver.pairs[index];
    if (mine) {
      mine.muxes = hasRtcpBeside(section);
      // It is answered, and may be so: RTP goes on.
      if (wantsRtcp(section)) report(mine.openRtcp(), failed);
    }
    if (theirs) {
      const offered = beside.includes(index);
      theirs.muxes = offered && (!undecided.includes(index) || hasRtcpBeside(section));
      const needs = !theirs.muxes && rtpProto.test(section.proto);
      const error = needs ? theirs.openRtcp() : undefined;
      // Without a port for it, it stays where it was offered.
      if (error && offered) theirs.muxes = true;
      else report(error, failed);
    }
  });
}

/** By a port of its own. */
function wantsRtcp(section: MediaSection): boolean {
  return rtpProto.test(section.proto) && !hasRtcpBeside(section);
}

function report(error: MediaError | undefined, failed: (error: MediaError) => void): void {
  if (error) failed(error);
}

/**
 * An offer came: until its answer either side may want RTCP by a port of its own (RFC 5761 5.1.1). Throws MediaError
 * where the sender does want it and there is none; nothing has changed then. `boundAddress` is where the sender's streams
 * go on.
 */
export function reopenRtcp(
  { media }: SessionDescription,
  heads: readonly number[],
  sender: MediaLeg,
  receiver: MediaLeg,
  boundAddress: string,
): void {
  const reopened: PortPair[] = [];
  const reopen = (pair: PortPair | undefined): MediaError | undefined => {
    if (!pair || pair.hasRtcp) return undefined;
    const error = pair.openRtcp();
    if (!error) reopened.push(pair);
    return error;
  };
  sender.pairs.forEach((pair, index) => {
    const section = media[index];
    const error = reopen(pair);
    // One that is to go on at other ports, or not at all, needs none here.
    const goesOn = section && isActive(section) && heads[index] === index;
    if (!error || !goesOn || !wantsRtcp(section)) return;
    if (pair !== sender.pairAt(index) || pair?.boundAddress !== boundAddress) return;
    for (const each of reopened) each.closeRtcp();
    throw error;
  });
  for (const pair of receiver.pairs) reopen(pair);
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
    // Who has agreed to it may still give it back (RFC 5761 5.1.1), if there is a port to go back to. With ICE there is no
    // candidate for that any more (RFC 8839 4.2.5: what a=rtcp names is among the candidates).
    const beside = hasRtcpBeside(section) || keeps || isNeeded(section) || !pair.hasRtcp;
    return { beside, alone: !pair.hasRtcp || (pair.muxes && receiver.ice !== undefined) };
  };
  return media.map((section, index) => {
    const head = heads[index]!;
    if (head === index) return formOf(section, index);
    const form = formOf(media[head]!, head);
    return form && { beside: form.beside && section.rtcpMux.length > 0, alone: form.alone };
  });
}
