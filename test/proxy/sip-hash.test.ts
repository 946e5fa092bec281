import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sipHash } from '../../src/proxy/sip-hash.ts';

/** The key of the paper's test vectors: bytes 0 to 15. */
const key = new Int32Array(Uint8Array.from({ length: 16 }, (_, i) => i).buffer);

function text(length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, i) => i));
}

/** The 64-bit result as the paper writes it, most significant digit first. */
function number(hash: string): string {
  return Buffer.from(hash, 'base64url').toString('hex');
}

describe('SipHash-2-4', () => {
  // Appendix A of the paper has the one of 15 bytes; the others are the first of its reference vectors, whose
  // bytes stand least significant first there.
  for (const [length, expected] of [
    [0, '726fdb47dd0e0e31'],
    [1, '74f839c593dc67fd'],
    [2, '0d6c8009d9a94f5a'],
    [3, '85676696d7fb7e2d'],
    [7, 'ab0200f58b01d137'],
    [8, '93f5f5799a932462'],
    [15, 'a129ca6149be45e5'],
  ] as const) {
    test(`of ${length} bytes`, () => assert.equal(number(sipHash(key, text(length))), expected));
  }

  test('is another one for another key, another text and another length', () => {
    const others = [
      sipHash(new Int32Array(4), text(15)),
      sipHash(key, text(14)),
      sipHash(key, `${text(15)}\0`),
      sipHash(key, text(255)),
      sipHash(key, text(256)),
    ];
    assert.equal(new Set([...others, sipHash(key, text(15))]).size, 6);
  });

  test('of a character above 255 is that of its low byte, and no error', () => {
    assert.equal(sipHash(key, 'Ā'), sipHash(key, '\0'));
  });
});
