import { type Endpoint, normalizeHost } from '../net/address.ts';

const HEADER_BYTES = 20;
const MAGIC_COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;
const MESSAGE_INTEGRITY = 0x0008;
const ERROR_CODE = 0x0009;
const MESSAGE_INTEGRITY_SHA256 = 0x001c;
const XOR_MAPPED_ADDRESS = 0x0020;
const FINGERPRINT = 0x8028;
const FINGERPRINT_MASK = 0x5354554e;
/** RFC 8489 14 and, in the answers of old servers, RFC 3489 11.2: what may stand beside the mapped address. */
const KNOWN: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x14, 0x15, 0x1c, 0x1d, 0x1e]);

export const TRANSACTION_ID_BYTES = 12;
/** RFC 8489 6.1: an answer fits into one datagram that nobody has to fragment. */
const MAX_BYTES = 1500;

/** What a server answers to a Binding request. */
export type StunAnswer =
  | { readonly kind: 'mapped'; readonly mapped: Endpoint }
  /** 300 to 699: it does not say what it saw (RFC 8489 14.8). */
  | { readonly kind: 'error'; readonly code: number };

/** A Binding request without attributes (RFC 8489 5). */
export function bindingRequest(transactionId: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt16BE(BINDING_REQUEST, 0);
  message.writeUInt32BE(MAGIC_COOKIE, 4);
  transactionId.copy(message, 8);
  return message;
}

/**
 * The answer to the request with that transaction ID. Undefined for everything else: what anybody may send to an
 * open port is not worth an error. MAPPED-ADDRESS alone is nothing: gateways on the way rewrite what looks like an
 * address of theirs, which is why it is masked.
 */
export function readStunAnswer(message: Buffer, transactionId: Buffer): StunAnswer | undefined {
  if (message.length < HEADER_BYTES || message.length > MAX_BYTES) return undefined;
  const type = message.readUInt16BE(0);
  if (type !== BINDING_SUCCESS && type !== BINDING_ERROR) return undefined;
  const length = message.readUInt16BE(2);
  if (length !== message.length - HEADER_BYTES || length % 4 !== 0) return undefined;
  if (message.readUInt32BE(4) !== MAGIC_COOKIE) return undefined;
  if (!message.subarray(8, HEADER_BYTES).equals(transactionId)) return undefined;
  let mapped: Endpoint | undefined;
  let code: number | undefined;
  let isSigned = false;
  let at = HEADER_BYTES;
  while (at < message.length) {
    const attribute = message.readUInt16BE(at);
    const valueLength = message.readUInt16BE(at + 2);
    const value = message.subarray(at + 4, at + 4 + valueLength);
    if (value.length !== valueLength) return undefined;
    if (attribute === FINGERPRINT) {
      // RFC 8489 14.7: the last one, over all that stands before it.
      if (at + 8 !== message.length || !isFingerprint(value, message.subarray(0, at))) return undefined;
    } else if (isSigned) {
      // RFC 8489 14.5: whatever follows the signature is ignored.
    } else if (attribute === MESSAGE_INTEGRITY || attribute === MESSAGE_INTEGRITY_SHA256) {
      isSigned = true;
    } else if (attribute === XOR_MAPPED_ADDRESS) {
      // RFC 8489 14: of an attribute that occurs twice the first counts.
      mapped ??= readXorMapped(value, message.subarray(4, HEADER_BYTES));
    } else if (attribute === ERROR_CODE) {
      code ??= readErrorCode(value);
    } else if (attribute < 0x8000 && !KNOWN.has(attribute)) {
      // RFC 8489 6.3.3: with an attribute that has to be understood and is not, the answer is discarded.
      return undefined;
    }
    // Each attribute is padded to a multiple of four bytes.
    at += 4 + Math.ceil(valueLength / 4) * 4;
  }
  if (type === BINDING_ERROR) return code === undefined ? undefined : { kind: 'error', code };
  return mapped && { kind: 'mapped', mapped };
}

function isFingerprint(value: Buffer, before: Buffer): boolean {
  if (value.length !== 4) return false;
  // Not imported: the start of a process that asks nobody has no use for it.
  const sum = process.getBuiltinModule('node:zlib').crc32(before) ^ FINGERPRINT_MASK;
  return value.readUInt32BE(0) === sum >>> 0;
}

function readErrorCode(value: Buffer): number | undefined {
  if (value.length < 4) return undefined;
  const hundreds = value[2]! & 7;
  const rest = value[3]!;
  return hundreds >= 3 && hundreds <= 6 && rest < 100 ? hundreds * 100 + rest : undefined;
}

/** RFC 8489 14.2: the port is mixed with the cookie, the address with the cookie and the transaction ID. */
function readXorMapped(value: Buffer, mask: Buffer): Endpoint | undefined {
  const bytes = value[1] === 1 ? 4 : value[1] === 2 ? 16 : 0;
  if (bytes === 0 || value.length !== 4 + bytes) return undefined;
  const port = value.readUInt16BE(2) ^ (MAGIC_COOKIE >>> 16);
  const address = value.subarray(4).map((byte, index) => byte ^ mask[index]!);
  if (bytes === 4) return { address: address.join('.'), port };
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((address[2 * index]! << 8) | address[2 * index + 1]!).toString(16),
  );
  return { address: normalizeHost(groups.join(':')), port };
}
