import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wavHeader, wavHeaderBytes } from '../../../src/media/recording/wav-header.ts';

test('what a header cannot count is whole samples, and no size goes beyond 32 bits', () => {
  for (const bytes of [0, 4, 2 ** 32 - 48, 2 ** 32, 2 ** 40]) {
    const header = wavHeader(48_000, bytes);
    const data = header.readUInt32LE(40);
    assert.equal(data % 4, 0);
    assert.equal(header.readUInt32LE(4), data + wavHeaderBytes - 8);
    assert.ok(data <= bytes && data >= Math.min(bytes, 2 ** 32 - 64));
  }
});
