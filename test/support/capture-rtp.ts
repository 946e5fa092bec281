import type { Packet } from './capture-decoder.ts';
import { decodeMuLaw } from './tone.ts';

/** An RTP packet inside a captured one (RFC 3550 section 5.1). */
export interface RtpPacket {
  readonly packet: Packet;
  readonly payloadType: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
}

/** The packet as RTP; undefined for what is not (RTCP, STUN, SIP). */
export function asRtp(packet: Packet): RtpPacket | undefined {
  const bytes = packet.payload;
  if (packet.protocol !== 'udp' || bytes.length < 12 || bytes[0]! >> 6 !== 2) return undefined;
  const payloadType = bytes[1]! & 0x7f;
  // 64 to 95 would be RTCP's 192 to 223 (RFC 5761 section 4).
  if (payloadType >= 64 && payloadType <= 95) return undefined;
  const headerLength = 12 + (bytes[0]! & 15) * 4;
  return {
    packet,
    payloadType,
    sequence: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(headerLength),
  };
}

/** Audio of the PCMU packets (payload type 0) in order of arrival, at 8 kHz. */
export function muLawSamples(packets: readonly RtpPacket[]): Int16Array {
  const voiced = packets.filter(({ payloadType }) => payloadType === 0);
  return Int16Array.from(voiced.flatMap(({ payload }) => [...payload].map(decodeMuLaw)));
}
