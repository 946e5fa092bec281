import { type Endpoint, normalizeHost } from '../net/address.ts';

const HEADER_BYTES = 20;
const MAGIC_COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const XOR_MAPPED_ADDRESS = 0x0020;
/** RFC 8489 14 and, in the answers of old servers, RFC 3489 11.2: what may stand beside the mapped address. */
const KNOWN: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x14, 0x15, 0x1c, 0x1d, 0x1e]);

export const TRANSACTION_ID_BYTES = 12;
/** RFC 8489 6.1: an answer fits into one datagram that nobody has to fragment. */
const MAX_BYTES = 1500;

/** A Binding request without attributes (RFC 8489 5). */
export function bindingRequest(transactionId: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt16BE(BINDING_REQUEST, 0);
  message.writeUInt32BE(MAGIC_COOKIE, 4);
  transactionId.copy(message, 8);
  return message;
}

/**
 * The address that the server saw, out of the success answer to the request with that transaction ID. Undefined for
 * everything else: what anybody may send to an open port is not worth an error.
 */
export function mappedAddress(message: Buffer, transactionId: Buffer): Endpoint | undefined {
  if (message.length < HEADER_BYTES || message.length > MAX_BYTES) return undefined;
  if (message.readUInt16BE(0) !== BINDING_SUCCESS) return undefined;
  const length = message.readUInt16BE(2);
  if (length !== message.length - HEADER_BYTES || length % 4 !== 0) return undefined;
  if (message.readUInt32BE(4) !== MAGIC_COOKIE) return undefined;
  if (!message.subarray(8, HEADER_BYTES).equals(transactionId)) return undefined;
  let found: Endpoint | undefined;
  let at = HEADER_BYTES;
  while (at < message.length) {
    const type = message.readUInt16BE(at);
    const valueLength = message.readUInt16BE(at + 2);
    const value = message.subarray(at + 4, at + 4 + valueLength);
    if (value.length !== valueLength) return undefined;
    // RFC 8489 14: of an attribute that occurs twice the first counts.
    if (type === XOR_MAPPED_ADDRESS) found ??= readXorMapped(value, message.subarray(4, HEADER_BYTES));
    // RFC 8489 6.3.3: with an attribute that has to be understood and is not, the answer is discarded.
    else if (type < 0x8000 && !KNOWN.has(type)) return undefined;
    // Each attribute is padded to a multiple of four bytes.
    at += 4 + Math.ceil(valueLength / 4) * 4;
  }
  return found;
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
