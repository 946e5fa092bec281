import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AudioFormat } from '../../../src/media/recording/audio-format.ts';
import { muLawSamples } from '../../../src/media/recording/g711.ts';
import { StereoMixer } from '../../../src/media/recording/stereo-mixer.ts';
import { sineSamples, strongestTone } from '../../support/tone.ts';
import { muLaw } from './rtp-source.ts';

const pcmu: AudioFormat = { encoding: 'PCMU', clockRate: 8000, channels: 1 };
const wide: AudioFormat = { encoding: 'L16', clockRate: 16_000, channels: 1 };

/** A second of µ-law in packets of 20 ms, and what it decodes to. */
const bytes = muLaw(sineSamples(400, 8000, 1000));
const samples = Int16Array.from(bytes, (byte) => muLawSamples[byte]!);
const payload = (n: number): Uint8Array => bytes.slice(n * 160, (n + 1) * 160);

class Recorded {
  readonly mixer: StereoMixer;
  #pieces: Int16Array[] = [];
  rate = 0;

  constructor() {
    this.mixer = new StereoMixer((piece, rate) => {
      this.#pieces.push(piece);
      this.rate = rate;
    });
  }

  channel(at: 0 | 1): Int16Array {
    const all = this.#pieces.flatMap((piece) => [...piece]);
    return Int16Array.from({ length: all.length / 2 }, (_, n) => all[2 * n + at]!);
  }
}

/** Sends packets of the second in this order; `late` says how much later than its turn one arrives. */
function send(recorded: Recorded, order: readonly number[], late: (n: number) => number = () => 0): void {
  for (const n of order) {
    recorded.mixer.add(1, 'caller', n * 0.02 + late(n), 7, n * 160, pcmu, payload(n));
    recorded.mixer.advance(n * 0.02);
  }
  recorded.mixer.finish(1);
}

const all = Array.from({ length: 50 }, (_, n) => n);

describe('audio by the time of RTP, sample by sample', () => {
  test('in order, on the left', () => {
    const recorded = new Recorded();
    send(recorded, all);
    assert.equal(recorded.rate, 8000);
    assert.deepEqual(recorded.channel(0), samples);
    assert.ok(recorded.channel(1).every((sample) => sample === 0));
  });

  test('jitter, disorder and duplicates change nothing', () => {
    const recorded = new Recorded();
    const shuffled = all.flatMap((n) => (n % 5 === 3 ? [n + 1, n, n] : n % 5 === 4 ? [] : [n]));
    send(recorded, shuffled, (n) => (n % 7) * 0.01);
    assert.deepEqual(recorded.channel(0), samples);
    assert.equal(recorded.mixer.duplicates, 10);
  });

  test('a lost packet leaves a gap of its own length', () => {
    const recorded = new Recorded();
    send(
      recorded,
      all.filter((n) => n !== 20),
    );
    const expected = samples.slice().fill(0, 20 * 160, 21 * 160);
    assert.deepEqual(recorded.channel(0), expected);
  });

  test('silence that is not sent (DTX) is as long as the time stamps say', () => {
    const recorded = new Recorded();
    send(
      recorded,
      all.filter((n) => n < 10 || n >= 40),
    );
    assert.deepEqual(recorded.channel(0), samples.slice().fill(0, 10 * 160, 40 * 160));
  });

  test('what comes after its place was written is left out, and counted', () => {
    const recorded = new Recorded();
    for (const n of all) if (n !== 5) recorded.mixer.add(1, 'caller', n * 0.02, 7, n * 160, pcmu, payload(n));
    recorded.mixer.advance(1);
    recorded.mixer.add(1, 'caller', 1, 7, 5 * 160, pcmu, payload(5));
    recorded.mixer.finish(1);
    assert.equal(recorded.mixer.late, 1);
    assert.deepEqual(recorded.channel(0), samples.slice().fill(0, 5 * 160, 6 * 160));
  });

  test('time stamps that wrap go on', () => {
    const recorded = new Recorded();
    const first = 0xffff_ffff - 10 * 160;
    for (const n of all)
      recorded.mixer.add(1, 'caller', n * 0.02, 7, (first + n * 160) >>> 0, pcmu, payload(n));
    recorded.mixer.finish(1);
    assert.deepEqual(recorded.channel(0), samples);
  });

  test('another source goes on where it arrives; so does one whose time stamps jump', () => {
    const recorded = new Recorded();
    for (const n of all) {
      const ssrc = n < 20 ? 7 : 8;
      const jump = n < 20 ? 0 : n < 35 ? 123_456_789 : 3_987_654_321;
      recorded.mixer.add(1, 'caller', n * 0.02 + 0.003, ssrc, (jump + n * 160) >>> 0, pcmu, payload(n));
    }
    recorded.mixer.finish(1.1);
    assert.deepEqual(recorded.channel(0).subarray(0, 8000), samples);
  });

  test('each side on its own channel, two streams of one side added and limited', () => {
    const recorded = new Recorded();
    for (const n of all) {
      recorded.mixer.add(1, 'callee', n * 0.02, 1, n * 160, pcmu, payload(n));
      recorded.mixer.add(2, 'callee', n * 0.02, 2, n * 160, pcmu, payload(n));
    }
    recorded.mixer.finish(1);
    assert.ok(recorded.channel(0).every((sample) => sample === 0));
    assert.deepEqual(
      recorded.channel(1),
      samples.map((sample) => Math.max(-32_768, Math.min(32_767, 2 * sample))),
    );
  });

  test('a narrow and a wide stream: at the rate of the wide one, its samples untouched', () => {
    const recorded = new Recorded();
    const tone = sineSamples(3000, 16_000, 1000);
    for (const n of all) {
      const l16 = Buffer.alloc(640);
      for (let i = 0; i < 320; i++) l16.writeInt16BE(tone[n * 320 + i]!, 2 * i);
      recorded.mixer.add(1, 'caller', n * 0.02, 1, n * 160, pcmu, payload(n));
      recorded.mixer.add(2, 'callee', n * 0.02, 2, n * 320, wide, l16);
    }
    recorded.mixer.finish(1);
    assert.equal(recorded.rate, 16_000);
    assert.deepEqual(recorded.channel(1), tone);
    const heard = strongestTone(recorded.channel(0), 16_000);
    assert.equal(heard?.frequencyHz, 400);
    assert.ok(heard.share > 0.98, `${heard.share}`);
  });

  test('a recording that ends early or late has what was there until then', () => {
    const recorded = new Recorded();
    for (const n of all) recorded.mixer.add(1, 'caller', n * 0.02, 7, n * 160, pcmu, payload(n));
    recorded.mixer.finish(3);
    assert.equal(recorded.channel(0).length, 24_000);
    assert.deepEqual(recorded.channel(0).subarray(0, 8000), samples);
  });
});
