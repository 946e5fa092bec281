import { type Endpoint, isUnspecified, normalizeHost } from '../net/address.ts';
import { ownText } from '../net/own-text.ts';
import {
  connectionOf,
  directionOf,
  iceUfragOf,
  type MediaSection,
  type SessionDescription,
} from '../sdp/session-description.ts';
import { isMediaDestination } from './destination.ts';
import { formOf, rtpProto, type StreamForm } from './stream-form.ts';

/** What one side said about one stream. */
export interface StreamRemote {
  /** Undefined where the SDP names no address that can be sent to: a name, a foreign family, 127.0.0.1. */
  readonly rtp: Endpoint | undefined;
  readonly rtcp: Endpoint | undefined;
  /** c=0.0.0.0: nothing is to be sent (RFC 3264 8.4). */
  readonly muted: boolean;
  readonly form: StreamForm;
  /** Where the side's SIP comes from. */
  readonly signalling: string | undefined;
}

const otherProto = /^(?:UDPTL|UDP|DTLS\/SCTP|UDP\/.+)$/i;

/**
 * What goes over UDP: RTP in its profiles (RFC 3551, 3711, 4585, 5764), T.38 (RFC 7345), data channels (RFC
 * 8841), BFCP; not TCP.
 */
export function isRelayed(section: MediaSection): boolean {
  return rtpProto.test(section.proto) || otherProto.test(section.proto);
}

/** True for a stream that the relay has to serve: port 0 switches one off (RFC 3264 5.1, 8.2). */
export function isActive(section: MediaSection): boolean {
  return section.port !== 0 && isRelayed(section);
}

/** Where a section says that it wants its packets. */
export function remoteOf(
  description: SessionDescription,
  section: MediaSection,
  boundAddress: string,
  signalling: string | undefined,
  bundled: boolean,
): StreamRemote {
  const connection = connectionOf(description, section);
  const host = connection ? ownText(normalizeHost(connection.address)) : '';
  const usable = (address: string, port: number): Endpoint | undefined =>
    isMediaDestination({ address, port }, boundAddress) ? { address, port } : undefined;
  // RFC 3605 2.1: without a=rtcp it is the next port; RFC 5761 5.1.1: a=rtcp may name the RTP port itself.
  const rtcpHost = section.rtcp?.address
    ? sharedText(normalizeHost(section.rtcp.address.address), host)
    : host;
  const ice = iceUfragOf(description, section) !== undefined;
  // Where an ICE client is, its connectivity checks tell; a lite one makes none (RFC 8445 6.1.1).
  const learns = ice && !description.iceLite;
  return {
    rtp: learns ? undefined : usable(host, section.port),
    rtcp: learns ? undefined : usable(rtcpHost, section.rtcp?.port ?? section.port + 1),
    muted: !ice && isUnspecified(host),
    signalling: signalling === undefined ? undefined : sharedText(normalizeHost(signalling), host),
    form: formOf(section, bundled),
  };
}

/** Most phones are where their SIP comes from: one text is enough then. */
function sharedText(text: string, known: string): string {
  return text === known ? known : ownText(text);
}

/** True where a section neither sends nor receives freely: a hold of either style (RFC 3264 8.4). */
export function isHeld(description: SessionDescription, section: MediaSection): boolean {
  const connection = connectionOf(description, section);
  return (
    directionOf(description, section) !== 'sendrecv' ||
    (iceUfragOf(description, section) === undefined &&
      connection !== undefined &&
      isUnspecified(connection.address))
  );
}
