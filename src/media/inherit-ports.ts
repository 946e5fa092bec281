import type { SessionDescription } from '../sdp/session-description.ts';
import type { MediaLeg } from './media-leg.ts';
import type { PortPair } from './port-pair.ts';
import { isActive } from './stream-remote.ts';

/**
 * The streams that share a port keep it where the answer refuses the one that stood for all: it goes over to the next of
 * them that is left (RFC 9143 7.3.1). `heads` are those of the answer, `offered` those of its offer. `instead` gives another
 * pair for the caller, whose own is wanted elsewhere still.
 */
export function inheritPorts(
  { media }: SessionDescription,
  heads: readonly number[],
  offered: readonly number[],
  callee: MediaLeg,
  caller: MediaLeg,
  instead: (index: number, pair: PortPair) => PortPair | undefined,
): void {
  offered.forEach((from, index) => {
    const [section, first] = [media[index], media[from]];
    if (!section || !first || from === index || heads[index] !== index || !isActive(section)) return;
    // Where the first one goes on by itself, this one was taken out of the bundle, and has no port.
    if (isActive(first) && heads[from] !== index) return;
    const [theirs, ours] = [callee.pairs[from], caller.pairs[from]];
    if (!theirs || !ours) return;
    caller.inheritPort(from, index, instead(from, ours));
    callee.inheritPort(from, index);
  });
}
