import { ownText } from '../net/own-text.ts';
import type { MediaSection } from '../sdp/session-description.ts';
import type { AudioFormat } from './recording/audio-format.ts';
import type { PacketKinds } from './rtp-statistics.ts';

/** What a section says of its packets. Most calls say the same: they share one, which never changes. */
export interface StreamForm {
  /** False for T.38 over UDPTL. */
  readonly isRtp: boolean;
  readonly kinds: PacketKinds;
  /** Of the port for RTCP. */
  readonly rtcpKinds: PacketKinds;
  /** For those who look into the packets. */
  readonly media: string;
  readonly proto: string;
  readonly formats: ReadonlyMap<number, AudioFormat>;
}

export const rtpProto: RegExp = /^(?:UDP\/TLS\/)?RTP\//i;
/** What browsers talk, and what talks to them (RFC 8834 4.2). */
export const webProto: RegExp = /^UDP\/TLS\/RTP\//i;
/** Encodings whose packets are of another source than those that they mend (RFC 4588, 5109, 8627). */
const mending = /^(?:rtx|red|ulpfec|flexfec)/i;
/** What endpoints write into SDP is theirs to choose: nobody fills memory with it. */
const maxShared = 256;
const shared = new Map<string, StreamForm>();

/** `bundled` where other streams come to the same port. */
export function formOf(section: MediaSection, bundled: boolean): StreamForm {
  const { media, proto, rtpMaps } = section;
  let name = `${media} ${proto} ${bundled}`;
  for (const [type, { encoding, rate, channels }] of rtpMaps)
    name += ` ${type} ${encoding} ${rate} ${channels}`;
  const known = shared.get(name);
  if (known) return known;
  const isRtp = rtpProto.test(proto);
  const reports = isRtp && !/\/SAVPF?$/i.test(proto);
  const formats = new Map<number, AudioFormat>();
  const rates = new Map<number, number>();
  for (const [type, { encoding, rate, channels }] of rtpMaps) {
    formats.set(type, { encoding: ownText(encoding), clockRate: rate, channels });
    rates.set(type, mending.test(encoding) ? 0 : rate);
  }
  const form: StreamForm = {
    // DTLS looks like itself, so that a source is learned from it alone (RFC 7983).
    isRtp: isRtp || /DTLS|TLS/i.test(proto),
    kinds: { tracked: isRtp && !bundled, reports, rates },
    rtcpKinds: { tracked: false, reports, rates: new Map() },
    media: ownText(media),
    proto: ownText(proto),
    formats,
  };
  if (shared.size >= maxShared) shared.clear();
  shared.set(name, form);
  return form;
}
