/** v0 to v3 as pairs of 32-bit halves, the low one first. One for all calls: none of them nests. */
const v = new Int32Array(8);

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed hash of 64 bits that
 * nobody without the key can make, for texts of some hundred bytes. In JavaScript, since the way to OpenSSL and
 * back costs more than the rest of a request. `key` is 16 bytes as four little-endian words; `text` has one
 * character for each byte. The result is 11 characters of base64url.
 */
export function sipHash(key: Int32Array, text: string): string {
  for (let half = 0; half < 4; half++) {
    v[half] = key[half]!;
    v[half + 4] = key[half]!;
  }
  // "somepseudorandomlygeneratedbytes", as the algorithm has it.
  v[0]! ^= 0x70736575;
  v[1]! ^= 0x736f6d65;
  v[2]! ^= 0x6e646f6d;
  v[3]! ^= 0x646f7261;
  v[4]! ^= 0x6e657261;
  v[5]! ^= 0x6c796765;
  v[6]! ^= 0x79746573;
  v[7]! ^= 0x74656462;
  const { length } = text;
  for (let at = 0; at <= length; at += 8) {
    const low = word(text, at);
    let high = word(text, at + 4);
    // The last block ends with the length; it is there even where nothing else is left for it.
    if (at + 8 > length) high |= length << 24;
    v[6]! ^= low;
    v[7]! ^= high;
    rounds(2);
    v[0]! ^= low;
    v[1]! ^= high;
  }
  v[4]! ^= 0xff;
  rounds(4);
  return encode(v[1]! ^ v[3]! ^ v[5]! ^ v[7]!, v[0]! ^ v[2]! ^ v[4]! ^ v[6]!);
}

/** Four characters from `at` as a little-endian word; what lies behind the end is zero. */
function word(text: string, at: number): number {
  let value = 0;
  for (let i = Math.min(at + 4, text.length) - 1; i >= at; i--) {
    value = (value << 8) | (text.charCodeAt(i) & 0xff);
  }
  return value;
}

function rounds(count: number): void {
  for (let n = 0; n < count; n++) {
    add(0, 2);
    turn(2, 13, 0);
    swap(0);
    add(4, 6);
    turn(6, 16, 4);
    add(0, 6);
    turn(6, 21, 0);
    add(4, 2);
    turn(2, 17, 4);
    swap(4);
  }
}

/** 64-bit addition of the pair at `b` to the pair at `a`. */
function add(a: number, b: number): void {
  const low = (v[a]! >>> 0) + (v[b]! >>> 0);
  v[a] = low;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0);
}

/** Turns the pair at `a` left by `bits` (under 32) and mixes in the pair at `b`. */
function turn(a: number, bits: number, b: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
}

/** Turns the pair at `a` left by 32 bits. */
function swap(a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function encode(high: number, low: number): string {
  let text = '';
  for (let bits = 26; bits >= 2; bits -= 6) text += alphabet[(high >>> bits) & 63]!;
  text += alphabet[((high << 4) | (low >>> 28)) & 63]!;
  for (let bits = 22; bits >= 4; bits -= 6) text += alphabet[(low >>> bits) & 63]!;
  return text + alphabet[(low << 2) & 63]!;
}
