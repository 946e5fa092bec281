const CR = 0x0d;
const LF = 0x0a;
/** The longest run of CR, LF and NUL that is taken for a keep-alive: what is longer is odd and goes up to be judged. */
const KEEPALIVE_MAX = 16;
const STUN_HEADER = 20;

/**
 * True for what comes to a SIP port and is no message: empty datagrams; keep-alives of CRLF (RFC 5626 3.5.1)
 * or of NUL bytes, as phones send them to hold their NAT open; STUN.
 */
export function isNotSip(bytes: Uint8Array, start: number, length: number): boolean {
  if (length === 0) return true;
  const first = bytes[start]!;
  // Every SIP message starts with a letter; nothing else below is worth a look.
  if (first > CR) return false;
  if (length <= KEEPALIVE_MAX) {
    let i = start;
    const end = start + length;
    while (i < end && (bytes[i] === CR || bytes[i] === LF || bytes[i] === 0)) i++;
    if (i === end) return true;
  }
  return isStun(bytes, start, length);
}

/** True for STUN: two zero bits, and the magic cookie at byte 4 (RFC 8489 5). */
function isStun(bytes: Uint8Array, start: number, length: number): boolean {
  return (
    length >= STUN_HEADER &&
    bytes[start]! < 0x40 &&
    bytes[start + 4] === 0x21 &&
    bytes[start + 5] === 0x12 &&
    bytes[start + 6] === 0xa4 &&
    bytes[start + 7] === 0x42
  );
}

/** RFC 8489 6.1: longer ones are fragmented, and nobody sends them. */
const STUN_MAX = 1500;

/** The same, of a length that is worth a copy. */
export function isAudibleStun(bytes: Uint8Array, start: number, length: number): boolean {
  return length <= STUN_MAX && isStun(bytes, start, length);
}
