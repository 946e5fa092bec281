import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { audioDecoder, decodedRate } from '../../../src/media/recording/audio-decoder.ts';
import { aLawSamples } from '../../../src/media/recording/g711.ts';
import { G722Decoder } from '../../../src/media/recording/g722-decoder.ts';
import { decodeMuLaw } from '../../support/tone.ts';

const fixture = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, '../../fixtures/g722', name));

describe('G.722', () => {
  const code = fixture('sweep.g722');
  const expected = fixture('sweep.s16');
  const samples = Int16Array.from({ length: expected.length / 2 }, (_, n) => expected.readInt16LE(2 * n));

  test('bit by bit what another decoder makes of tones, noise and edges', () => {
    assert.deepEqual(new G722Decoder().decode(code), samples);
  });

  test('packet by packet the same', () => {
    const decoder = new G722Decoder();
    const pieces: number[] = [];
    for (let at = 0; at < code.length; at += 160) pieces.push(...decoder.decode(code.subarray(at, at + 160)));
    assert.deepEqual(Int16Array.from(pieces), samples);
  });

  test('bytes of any kind give samples', () => {
    const noise = Uint8Array.from({ length: 20_000 }, (_, n) => (n * 7919 + (n >> 3)) & 0xff);
    assert.equal(new G722Decoder().decode(noise).length, 40_000);
  });
});

test('G.711: both laws at the values of their tables (ITU-T G.711)', () => {
  const muLaw = audioDecoder({ encoding: 'pcmu', clockRate: 8000, channels: 1 });
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assert.deepEqual(
    [...muLaw(every)],
    [...every].map((byte) => decodeMuLaw(byte) + 0),
  );
  assert.deepEqual(
    [0xd5, 0x55, 0xaa, 0x2a, 0x80, 0x00].map((byte) => aLawSamples[byte]!),
    [8, -8, 32_256, -32_256, 5504, -5504],
  );
});

test('L16: network byte order, several channels become one', () => {
  const payload = Uint8Array.of(0x01, 0x00, 0x03, 0x00, 0xff, 0xfe, 0xff, 0xfc);
  const decode = (channels: number): number[] => [
    ...audioDecoder({ encoding: 'L16', clockRate: 16_000, channels })(payload),
  ];
  assert.deepEqual(decode(1), [256, 768, -2, -4]);
  assert.deepEqual(decode(2), [512, -3]);
});

test('what has no rate is not decoded: other encodings, rates and channels that are no audio', () => {
  const rate = (encoding: string, clockRate: number, channels = 1): number | undefined =>
    decodedRate({ encoding, clockRate, channels });
  assert.deepEqual([rate('PCMA', 8000), rate('g722', 8000), rate('L16', 44_100, 2)], [8000, 16_000, 44_100]);
  assert.deepEqual(
    [
      rate('opus', 48_000, 2),
      rate('L16', 999_999),
      rate('L16', 1),
      rate('L16', 8000, 99),
      rate('L16', 8000, 0),
    ],
    [undefined, undefined, undefined, undefined, undefined],
  );
});
