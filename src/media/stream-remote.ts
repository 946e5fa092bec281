import { type Endpoint, isUnspecified, normalizeHost } from '../net/address.ts';
import {
  connectionOf,
  directionOf,
  type MediaSection,
  type SessionDescription,
} from '../sdp/session-description.ts';
import { isMediaDestination } from './destination.ts';

/** What one side said about one stream. */
export interface StreamRemote {
  /** Undefined where the SDP names no address that can be sent to: a name, a foreign family, 127.0.0.1. */
  readonly rtp: Endpoint | undefined;
  readonly rtcp: Endpoint | undefined;
  /** False for T.38 over UDPTL. */
  readonly isRtp: boolean;
  /** c=0.0.0.0: nothing is to be sent (RFC 3264 8.4). */
  readonly muted: boolean;
}

const rtpProto = /^(?:UDP\/TLS\/)?RTP\//i;
const udptlProto = /^(?:UDP\/TLS\/)?UDPTL$/i;

/** RTP in its profiles (RFC 3551, 3711, 4585, 5764) and T.38; not TCP, MSRP, SCTP, BFCP. */
export function isRelayed(section: MediaSection): boolean {
  return rtpProto.test(section.proto) || udptlProto.test(section.proto);
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
): StreamRemote {
  const connection = connectionOf(description, section);
  const host = connection ? normalizeHost(connection.address) : '';
  const usable = (address: string, port: number): Endpoint | undefined =>
    isMediaDestination({ address, port }, boundAddress) ? { address, port } : undefined;
  // RFC 3605 2.1: without a=rtcp it is the next port; RFC 5761 5.1.1: a=rtcp may name the RTP port itself.
  const rtcpHost = section.rtcp?.address ? normalizeHost(section.rtcp.address.address) : host;
  return {
    rtp: usable(host, section.port),
    rtcp: usable(rtcpHost, section.rtcp?.port ?? section.port + 1),
    isRtp: rtpProto.test(section.proto),
    muted: isUnspecified(host),
  };
}

/** True where a section neither sends nor receives freely: a hold of either style (RFC 3264 8.4). */
export function isHeld(description: SessionDescription, section: MediaSection): boolean {
  const connection = connectionOf(description, section);
  return (
    directionOf(description, section) !== 'sendrecv' ||
    (connection !== undefined && isUnspecified(connection.address))
  );
}
