const base64url = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/**
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed hash of 64 bits that
 * nobody without the key can make, for texts of some hundred bytes. In JavaScript, since the way to OpenSSL and
 * back costs more than the rest of a request. `key` is 16 bytes as four little-endian words; `text` has one
 * character for each byte. The result is 11 characters of base64url.
 *
 * v0 to v3 are pairs of 32-bit halves in local variables, which the compiler keeps in registers: several times as
 * fast as an array. A sum of low halves that is less than what was added, unsigned, has a carry.
 */
export function sipHash(key: Int32Array, text: string): string {
  // "somepseudorandomlygeneratedbytes", as the algorithm has it.
  let l0 = key[0]! ^ 0x70736575;
  let h0 = key[1]! ^ 0x736f6d65;
  let l1 = key[2]! ^ 0x6e646f6d;
  let h1 = key[3]! ^ 0x646f7261;
  let l2 = key[0]! ^ 0x6e657261;
  let h2 = key[1]! ^ 0x6c796765;
  let l3 = key[2]! ^ 0x79746573;
  let h3 = key[3]! ^ 0x74656462;
  const { length } = text;
  // A block of eight characters a turn: the last one ends with the length, and is there even where nothing else is
  // left for it. One more turn finishes.
  for (let at = 0, finished = false; !finished; at += 8) {
    finished = at > length;
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (finished) {
      l2 ^= 0xff;
      rounds = 4;
    } else {
      low = word(text, at);
      high = word(text, at + 4);
      if (at + 8 > length) high |= length << 24;
      l3 ^= low;
      h3 ^= high;
    }
    for (let n = 0; n < rounds; n++) {
      l0 = (l0 + l1) | 0;
      h0 = (h0 + h1 + (l0 >>> 0 < l1 >>> 0 ? 1 : 0)) | 0;
      let turned = ((l1 << 13) | (h1 >>> 19)) ^ l0;
      h1 = ((h1 << 13) | (l1 >>> 19)) ^ h0;
      l1 = turned;
      turned = l0;
      l0 = h0;
      h0 = turned;
      l2 = (l2 + l3) | 0;
      h2 = (h2 + h3 + (l2 >>> 0 < l3 >>> 0 ? 1 : 0)) | 0;
      turned = ((l3 << 16) | (h3 >>> 16)) ^ l2;
      h3 = ((h3 << 16) | (l3 >>> 16)) ^ h2;
      l3 = turned;
      l0 = (l0 + l3) | 0;
      h0 = (h0 + h3 + (l0 >>> 0 < l3 >>> 0 ? 1 : 0)) | 0;
      turned = ((l3 << 21) | (h3 >>> 11)) ^ l0;
      h3 = ((h3 << 21) | (l3 >>> 11)) ^ h0;
      l3 = turned;
      l2 = (l2 + l1) | 0;
      h2 = (h2 + h1 + (l2 >>> 0 < l1 >>> 0 ? 1 : 0)) | 0;
      turned = ((l1 << 17) | (h1 >>> 15)) ^ l2;
      h1 = ((h1 << 17) | (l1 >>> 15)) ^ h2;
      l1 = turned;
      turned = l2;
      l2 = h2;
      h2 = turned;
    }
    l0 ^= low;
    h0 ^= high;
  }
  return encode(h0 ^ h1 ^ h2 ^ h3, l0 ^ l1 ^ l2 ^ l3);
}

/** Four characters from `at` as a little-endian word; what lies behind the end is zero. */
function word(text: string, at: number): number {
  if (at + 4 <= text.length) {
    return (
      (text.charCodeAt(at) & 0xff) |
      ((text.charCodeAt(at + 1) & 0xff) << 8) |
      ((text.charCodeAt(at + 2) & 0xff) << 16) |
      (text.charCodeAt(at + 3) << 24)
    );
  }
  let value = 0;
  for (let i = text.length - 1; i >= at; i--) value = (value << 8) | (text.charCodeAt(i) & 0xff);
  return value;
}

function encode(high: number, low: number): string {
  return String.fromCharCode(
    base64url[high >>> 26]!,
    base64url[(high >>> 20) & 63]!,
    base64url[(high >>> 14) & 63]!,
    base64url[(high >>> 8) & 63]!,
    base64url[(high >>> 2) & 63]!,
    base64url[((high << 4) | (low >>> 28)) & 63]!,
    base64url[(low >>> 22) & 63]!,
    base64url[(low >>> 16) & 63]!,
    base64url[(low >>> 10) & 63]!,
    base64url[(low >>> 4) & 63]!,
    base64url[(low << 2) & 63]!,
  );
}
