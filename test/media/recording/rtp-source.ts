import { encodeMuLaw } from '../../support/tone.ts';

/** The header of an RTP packet (RFC 3550 5.1) before a payload. */
export function rtpPacket(
  payloadType: number,
  sequence: number,
  timestamp: number,
  ssrc: number,
  payload: Uint8Array,
  marker = false,
): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = payloadType | (marker ? 0x80 : 0);
  header.writeUInt16BE(sequence & 0xffff, 2);
  header.writeUInt32BE(timestamp >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, payload]);
}

export function muLaw(samples: ArrayLike<number>): Uint8Array {
  return Uint8Array.from(samples, encodeMuLaw);
}

/** The payload of a telephone event (RFC 4733 2.3). */
export function eventPayload(event: number, duration: number, ended = false): Uint8Array {
  return Uint8Array.of(event, (ended ? 0x80 : 0) | 10, duration >> 8, duration & 0xff);
}
