import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { ProgramError } from './process.ts';
import { strongestTone, type Tone, toneShare } from './tone.ts';

const sampleRateHz = 8000;
const wavHeaderLength = 44;

/** What a phone has heard: the decoded audio that baresip's sndfile module writes, read while it grows. */
export class BaresipRecording {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** All audio received in the current or last call, its first channel at 8 kHz; empty before the first packet. */
  samples(): Int16Array {
    const name = readdirSync(this.#directory)
      .filter((entry) => entry.endsWith('-dec.wav'))
      .sort()
      .at(-1);
    if (name === undefined) return new Int16Array(0);
    const path = join(this.#directory, name);
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    if (bytes.length < wavHeaderLength) return new Int16Array(0);
    // A codec has its own rate and channels; a tone of the telephone band stays one with samples left out.
    const step = 2 * bytes.readUInt16LE(22) * (bytes.readUInt32LE(24) / sampleRateHz);
    const count = Math.floor((bytes.length - wavHeaderLength) / step);
    return Int16Array.from({ length: count }, (_, index) =>
      bytes.readInt16LE(wavHeaderLength + index * step),
    );
  }

  /** The strongest tone of the last `windowMs` received; undefined for silence or no audio. */
  tone(windowMs: number): Tone | undefined {
    return strongestTone(this.samples().subarray(-samplesIn(windowMs)), sampleRateHz);
  }

  /** Resolves when `windowMs` of audio that arrived after this call is one pure tone. */
  async hears(frequencyHz: number, windowMs: number, timeoutMs: number): Promise<void> {
    const begin = this.samples().length;
    const window = samplesIn(windowMs);
    await this.#until(timeoutMs, `a tone of ${frequencyHz} Hz`, (samples) => {
      // A new call begins a new recording, which is shorter than the old one was.
      const fresh = samples.length >= begin ? samples.subarray(begin) : samples;
      return fresh.length >= window && toneShare(fresh.subarray(-window), sampleRateHz, frequencyHz) > 0.9;
    });
  }

  /** Resolves when at least `durationMs` of audio has been received in the current call. */
  async lasts(durationMs: number, timeoutMs: number): Promise<void> {
    await this.#until(
      timeoutMs,
      `${durationMs} ms of audio`,
      (samples) => samples.length >= samplesIn(durationMs),
    );
  }

  #until(timeoutMs: number, what: string, satisfied: (samples: Int16Array) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = watch(this.#directory, () => look());
      const done = () => {
        clearTimeout(timer);
        watcher.close();
      };
      const timer = setTimeout(() => {
        done();
        const tone = this.tone(400);
        const heard = tone ? `${tone.frequencyHz} Hz (share ${tone.share.toFixed(2)})` : 'silence';
        const length = this.samples().length / (sampleRateHz / 1000);
        reject(new ProgramError(`${what} was not heard in ${timeoutMs} ms: ${heard}, ${length} ms received`));
      }, timeoutMs);
      const look = () => {
        if (!satisfied(this.samples())) return;
        done();
        resolve();
      };
      look();
    });
  }
}

function samplesIn(durationMs: number): number {
  return (durationMs * sampleRateHz) / 1000;
}
