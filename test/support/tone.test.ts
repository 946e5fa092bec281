import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeMuLaw, encodeMuLaw, sineSamples, strongestTone, toneShare } from './tone.ts';

describe('a tone in audio', () => {
  test('has nearly all the energy at its own frequency and none at another', () => {
    const samples = sineSamples(440, 8000, 400);
    assert.ok(toneShare(samples, 8000, 440) > 0.99);
    assert.ok(toneShare(samples, 8000, 880) < 0.001);
    assert.ok(toneShare(samples, 8000, 450) < 0.02);
  });

  test('is half of two that sound together', () => {
    const other = sineSamples(880, 8000, 400);
    const samples = sineSamples(440, 8000, 400).map((sample, index) => sample + other[index]!);
    assert.ok(Math.abs(toneShare(samples, 8000, 440) - 0.5) < 0.01);
  });

  test('is found with its frequency, quiet or loud', () => {
    for (const frequencyHz of [300, 440, 1000, 3400]) {
      for (const amplitude of [100, 30_000]) {
        const tone = strongestTone(sineSamples(frequencyHz, 8000, 400, amplitude), 8000);
        assert.equal(tone?.frequencyHz, frequencyHz);
        assert.ok(tone.share > 0.98);
      }
    }
  });

  test('is not found in silence, and hardly in noise', () => {
    assert.equal(strongestTone(new Int16Array(3200), 8000), undefined);
    let seed = 1;
    const noise = Int16Array.from({ length: 3200 }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 16) - 32_768;
    });
    assert.ok((strongestTone(noise, 8000)?.share ?? 0) < 0.05);
  });
});

describe('G.711 µ-law', () => {
  test('has the values of the recommendation at its ends', () => {
    assert.deepEqual([0xff, 0x7f, 0x80, 0x00].map(decodeMuLaw), [0, -0, 32_124, -32_124]);
    assert.deepEqual([0, 32_767, -32_768].map(encodeMuLaw), [0xff, 0x80, 0x00]);
  });

  test('gives every byte back, but for the second zero', () => {
    for (let byte = 0; byte < 256; byte++) {
      if (byte !== 0x7f) assert.equal(encodeMuLaw(decodeMuLaw(byte)), byte);
    }
  });

  test('keeps a tone a tone', () => {
    const decoded = sineSamples(880, 8000, 400).map((sample) => decodeMuLaw(encodeMuLaw(sample)));
    assert.ok(toneShare(decoded, 8000, 880) > 0.98);
  });
});
