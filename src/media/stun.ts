import { type Endpoint, familyOf } from '../net/address.ts';
import { writeSockaddr } from './sockaddr.ts';

/** What the relay told an ICE client in its own description: the client proves with it that it has read that. */
export interface IceCredentials {
  readonly ufrag: string;
  readonly password: string;
}

export interface StunAnswer {
  readonly response: Buffer;
  /** The client has chosen this pair of addresses (RFC 8445 8.1.1). */
  readonly nominated: boolean;
}

const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;
const magicCookie = 0x2112a442;
const headerBytes = 20;
const attribute = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  xorMappedAddress: 0x0020,
  useCandidate: 0x0025,
  fingerprint: 0x8028,
} as const;
const integrityBytes = 20;
const fingerprintMask = 0x5354554e;
/** Longer than any connectivity check; a flood of giants is not hashed. */
const maxBytes = 1000;

/** True for a first byte of STUN among what else comes to a media port (RFC 7983 7). */
export function isStun(firstByte: number): boolean {
  return firstByte < 4;
}

/**
 * The answer of an ICE-lite agent to a connectivity check (RFC 8445 7.3, RFC 8489). Undefined, which means
 * silence, for all that does not prove by its MESSAGE-INTEGRITY that it was told the password: nobody else
 * learns that somebody listens, and nothing is reflected.
 */
export function answerStun(request: Buffer, source: Endpoint, ice: IceCredentials): StunAnswer | undefined {
  if (request.length < headerBytes || request.length > maxBytes) return undefined;
  if (request.readUInt16BE(0) !== bindingRequest || request.readUInt32BE(4) !== magicCookie) return undefined;
  if (request.readUInt16BE(2) !== request.length - headerBytes || request.length % 4 !== 0) return undefined;
  let username: string | undefined;
  let nominated = false;
  let proved = false;
  for (let at = headerBytes; at + 4 <= request.length && !proved; ) {
    const type = request.readUInt16BE(at);
    const length = request.readUInt16BE(at + 2);
    const value = at + 4;
    if (value + length > request.length) return undefined;
    if (type === attribute.username) username = request.toString('latin1', value, value + length);
    else if (type === attribute.useCandidate) nominated = true;
    else if (type === attribute.messageIntegrity) {
      // The name first: whoever was told nothing does not make us compute (RFC 8445 7.2.2).
      if (length !== integrityBytes || !username?.startsWith(`${ice.ufrag}:`)) return undefined;
      const expected = integrity(request.subarray(0, at), ice.password);
      if (!crypto().timingSafeEqual(expected, request.subarray(value, value + length))) return undefined;
      // What follows the integrity is not covered by it (RFC 8489 14.5).
      proved = true;
    }
    at = value + ((length + 3) & ~3);
  }
  if (!proved) return undefined;
  return { response: success(request.subarray(8, headerBytes), source, ice.password), nominated };
}

function success(transactionId: Buffer, source: Endpoint, password: string): Buffer {
  const addressBytes = familyOf(source.address) === 'ipv6' ? 16 : 4;
  const mapped = Buffer.alloc(4 + 4 + addressBytes);
  mapped.writeUInt16BE(attribute.xorMappedAddress, 0);
  mapped.writeUInt16BE(4 + addressBytes, 2);
  mapped[5] = addressBytes === 4 ? 1 : 2;
  mapped.writeUInt16BE(source.port ^ (magicCookie >>> 16), 6);
  const sockaddr = new DataView(new ArrayBuffer(32));
  writeSockaddr(sockaddr, 0, source);
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(magicCookie, 0);
  transactionId.copy(mask, 4);
  const addressAt = addressBytes === 4 ? 4 : 8;
  for (let i = 0; i < addressBytes; i++) mapped[8 + i] = sockaddr.getUint8(addressAt + i) ^ mask[i]!;

  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(bindingSuccess, 0);
  header.writeUInt32BE(magicCookie, 4);
  transactionId.copy(header, 8);
  header.writeUInt16BE(mapped.length, 2);
  const body = Buffer.concat([header, mapped]);
  const proof = Buffer.concat([
    attributeHeader(attribute.messageIntegrity, integrityBytes),
    integrity(body, password),
  ]);
  const signed = Buffer.concat([body, proof]);
  signed.writeUInt16BE(signed.length - headerBytes + 8, 2);
  const fingerprint = attributeHeader(attribute.fingerprint, 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE((process.getBuiltinModule('node:zlib').crc32(signed) ^ fingerprintMask) >>> 0);
  return Buffer.concat([signed, fingerprint, sum]);
}

/** HMAC-SHA1 over all before the attribute, with the length as if the message ended behind it (RFC 8489 14.5). */
function integrity(before: Buffer, password: string): Buffer {
  const covered = Buffer.from(before);
  covered.writeUInt16BE(before.length - headerBytes + 4 + integrityBytes, 2);
  return crypto().createHmac('sha1', password).update(covered).digest();
}

function attributeHeader(type: number, length: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(length, 2);
  return header;
}

/** Not before the first check: without ICE the media thread starts a megabyte and some milliseconds lighter. */
function crypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}
