import type { Endpoint } from '../../net/address.ts';
import type { Party } from '../media-contract.ts';
import type { MediaLeg } from '../media-leg.ts';
import { type AudioFormat, staticFormats } from '../recording/audio-format.ts';
import type { StreamRemote } from '../stream-remote.ts';
import type { TappedStream } from './tap-protocol.ts';

/** The sockets of one leg whose side sends what `other` described. */
export function tappedStreams(
  leg: MediaLeg,
  party: Party,
  other: MediaLeg | undefined,
  generation: (slot: number) => number,
): TappedStream[] {
  return leg.pairs.flatMap((pair, index): TappedStream[] => {
    if (!pair?.remote) return [];
    const { remote } = pair;
    const { media, proto, isRtp: carriesRtp } = remote.form;
    const stream = (slot: number, isRtp: boolean, port: number): TappedStream => ({
      slot,
      generation: generation(slot),
      party,
      index,
      media,
      isRtp,
      local: localOf(leg, pair.boundAddress, port),
      formats: formatsOf(remote, other?.pairs[index]?.remote),
      encrypted: /SAVPF?$|DTLS|TLS/i.test(proto) ? proto : undefined,
    });
    return [stream(pair.rtp, carriesRtp, pair.port), stream(pair.rtcp, false, pair.port + 1)];
  });
}

/** The address that the side was told: in a capture it joins the packets with the SDP. */
function localOf(leg: MediaLeg, boundAddress: string, port: number): Endpoint {
  const address = leg.toldAddress ?? boundAddress;
  return { address, port };
}

/** Payload types are those that the receiver described (RFC 3264 5.1); some senders use their own all the same. */
function formatsOf(sender: StreamRemote, receiver: StreamRemote | undefined): Map<number, AudioFormat> {
  const formats = new Map(staticFormats);
  if (receiver) {
    for (const [type, map] of sender.form.formats)
      if (map.encoding.toLowerCase() !== 'telephone-event') formats.set(type, map);
  }
  for (const [type, map] of (receiver ?? sender).form.formats) formats.set(type, map);
  return formats;
}
