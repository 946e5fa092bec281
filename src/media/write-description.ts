import { type Additions, readdress, type SectionPort } from '../sdp/readdress.ts';
import type { SessionDescription } from '../sdp/session-description.ts';
import type { MediaLeg } from './media-leg.ts';
import { rtcpForms } from './rtcp-mux.ts';
import { rtpProto } from './stream-form.ts';
import { isActive, isRelayed } from './stream-remote.ts';

/** A description as the side that `receiver` faces has to read it. */
export function writeDescription(
  description: SessionDescription,
  kind: 'offer' | 'answer',
  receiver: MediaLeg,
  heads: readonly number[],
  advertisedAddress: string,
  keepOrigin: boolean,
): string {
  const ports = description.media.map((section, index): SectionPort => {
    if (!isRelayed(section)) return 'untouched';
    return section.port === 0 ? 0 : (receiver.pairAt(heads[index]!)?.port ?? 0);
  });
  const rtcp = rtcpForms(description, kind, receiver, heads);
  const { ice } = receiver;
  const sections = description.media.map((section, index): string[] => {
    const pair = receiver.pairAt(index);
    const lines: string[] = [];
    if (!pair || !isActive(section) || heads[index] !== index) return lines;
    if (rtcp[index]?.beside && section.rtcpMux.length === 0) lines.push('a=rtcp-mux');
    if (!ice) return lines;
    const candidate = (component: 1 | 2): string =>
      `a=candidate:1 ${component} UDP ${2_130_706_432 - component} ${advertisedAddress} ${pair.port + component - 1} typ host`;
    lines.push(candidate(1));
    // Until both sides have agreed to one port RTP has two components (RFC 8445 5.1.1.1); nothing else has (RFC 8839 5.1).
    if (!rtcp[index]?.alone && rtpProto.test(section.proto)) lines.push(candidate(2));
    lines.push('a=end-of-candidates');
    return lines;
  });
  // RFC 8839 4.2.1 and 5.3: the relay is reached as it says, and makes no checks of its own.
  const session = ice && ['a=ice-lite', `a=ice-ufrag:${ice.ufrag}`, `a=ice-pwd:${ice.password}`];
  const additions: Additions = { keepOrigin, session, sections, rtcp };
  return readdress(description, advertisedAddress, ports, additions);
}
