import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InbandDetector } from '../../../src/media/dtmf/inband-detector.ts';
import { muLawSamples } from '../../../src/media/recording/g711.ts';
import { encodeMuLaw } from '../../support/tone.ts';

const keypad = ['123A', '456B', '789C', '*0#D'];
const rowsHz = [697, 770, 852, 941];
const columnsHz = [1209, 1336, 1477, 1633];

/** The same numbers each time: 0 to 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

interface Tone {
  readonly key: string;
  readonly ms?: number;
  readonly rowAmplitude?: number;
  readonly columnAmplitude?: number;
  /** By how much both tones are off. */
  readonly off?: number;
}

function tone({ key, ms = 100, rowAmplitude = 6000, columnAmplitude = 6000, off = 0 }: Tone): number[] {
  const row = keypad.findIndex((keys) => keys.includes(key));
  const low = rowsHz[row]! * (1 + off);
  const high = columnsHz[keypad[row]!.indexOf(key)]! * (1 + off);
  return Array.from(
    { length: ms * 8 },
    (_, n) =>
      rowAmplitude * Math.sin((2 * Math.PI * low * n) / 8000) +
      columnAmplitude * Math.sin((2 * Math.PI * high * n) / 8000 + 1),
  );
}

const silence = (ms: number): number[] => new Array(ms * 8).fill(0);

/** What is told of these samples once they went through µ-law. */
function hear(samples: readonly number[], noise = 0, seed = 1): { keys: string; durations: number[] } {
  const next = random(seed);
  let keys = '';
  const durations: number[] = [];
  const detector = new InbandDetector((digit, ms) => {
    keys += digit;
    durations.push(ms);
  });
  // Twelve uniform numbers make a normal one.
  const normal = (): number => Array.from({ length: 12 }, next).reduce((sum, value) => sum + value, -6);
  detector.add(
    Int16Array.from(samples, (sample) => {
      const noisy = Math.round(sample + noise * normal());
      return muLawSamples[encodeMuLaw(Math.max(-32_000, Math.min(32_000, noisy)))]!;
    }),
  );
  detector.finish();
  return { keys, durations };
}

describe('keys in the audio', () => {
  test('all sixteen, 60 ms long and 60 ms apart', () => {
    const keys = keypad.join('');
    const heard = hear([...keys].flatMap((key) => [...tone({ key, ms: 60 }), ...silence(60)]));
    assert.equal(heard.keys, keys);
    for (const ms of heard.durations) assert.ok(ms >= 35 && ms <= 90, `${ms}`);
  });

  test('one key twice, and one that is held', () => {
    const heard = hear([
      ...tone({ key: '5' }),
      ...silence(70),
      ...tone({ key: '5' }),
      ...silence(70),
      ...tone({ key: '7', ms: 2000 }),
    ]);
    assert.equal(heard.keys, '557');
    assert.ok(Math.abs(heard.durations[2]! - 2000) < 30, `${heard.durations}`);
  });

  test('in noise 15 dB below, with twist either way, off by 1.5 %', () => {
    const keys = '159D*037C';
    for (const [rowAmplitude, columnAmplitude] of [
      [6000, 6000],
      [6000, 3400],
      [3400, 6000],
    ] as const) {
      for (const off of [-0.015, 0, 0.015]) {
        const level = Math.sqrt((rowAmplitude ** 2 + columnAmplitude ** 2) / 2);
        const samples = [...keys].flatMap((key) => [
          ...tone({ key, rowAmplitude, columnAmplitude, off, ms: 80 }),
          ...silence(80),
        ]);
        const heard = hear(samples, level / 10 ** (15 / 20), 7);
        assert.equal(heard.keys, keys, `${rowAmplitude}:${columnAmplitude} off by ${off}`);
      }
    }
  });

  test('quiet keys, and none below the floor', () => {
    const at = (amplitude: number): string =>
      hear([...tone({ key: '8', rowAmplitude: amplitude, columnAmplitude: amplitude }), ...silence(50)]).keys;
    assert.equal(at(400), '8');
    assert.equal(at(60), '');
  });

  test('a key of 20 ms is none, nor is one with too much twist, nor one tone alone', () => {
    assert.equal(hear([...silence(50), ...tone({ key: '1', ms: 20 }), ...silence(50)]).keys, '');
    assert.equal(hear(tone({ key: '1', rowAmplitude: 8000, columnAmplitude: 1500 })).keys, '');
    assert.equal(hear(tone({ key: '1', columnAmplitude: 0 })).keys, '');
  });

  test('talk-off: voices, with their overtones and glides, are no keys', () => {
    const next = random(3);
    const samples: number[] = [];
    // A minute of vowels: a fundamental that glides, and its overtones under two resonances 90 Hz wide.
    for (let vowel = 0; vowel < 400; vowel++) {
      const start = 90 + 180 * next();
      const end = start * (0.8 + 0.4 * next());
      const formants = [300 + 700 * next(), 900 + 1600 * next()];
      let phase = 0;
      for (let n = 0; n < 1200; n++) {
        const pitch = start + ((end - start) * n) / 1200;
        phase += (2 * Math.PI * pitch) / 8000;
        let sample = 0;
        for (let k = 1; k * pitch < 3600; k++) {
          const strength = formants.reduce((sum, at) => sum + 1 / Math.hypot(1, (k * pitch - at) / 45), 0);
          sample += strength * Math.sin(k * phase);
        }
        samples.push(5000 * sample);
      }
    }
    assert.equal(hear(samples, 50).keys, '');
  });

  test('noise alone is no key', () => {
    assert.equal(hear(silence(30_000), 3000, 11).keys, '');
  });

  test('over a dial tone that is as loud as a quarter', () => {
    const mixed = [...tone({ key: '6' }), ...silence(60)].map(
      (sample, n) => sample + 1500 * Math.sin((2 * Math.PI * 425 * n) / 8000),
    );
    assert.equal(hear(mixed).keys, '6');
  });
});
