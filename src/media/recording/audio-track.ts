import { audioDecoder, decodedRate } from './audio-decoder.ts';
import type { AudioFormat } from './audio-format.ts';
import { Resampler } from './resampler.ts';

/** One packet that waits for its place. */
interface Waiting {
  readonly startS: number;
  readonly format: AudioFormat;
  readonly payload: Uint8Array;
}

/** Samples of a track, in the order of time and without overlap. */
export type Place = (startSample: number, samples: Int16Array) => void;

/** A source that is further off than this from when its packets come has begun to count anew. */
const farAheadS = 1;
const farBehindS = 2;
/** No packet is under way longer than this. */
const longestUnderWayS = 5;
/** A new source that follows the last one within this goes on where that ended: both were under way in the jitter. */
const joinS = 0.2;
/** Places are multiples of this, so that the samples of every rate fall on whole numbers. */
const gridS = 0.01;
/** Packets that wait at most: a flood costs audio, not memory. */
const maxWaiting = 512;
/** 0.6 seconds of the fattest audio are half of it. */
const maxWaitingBytes = 1_048_576;
/** Longer than any packet of audio. */
const maxPacketS = 1;

/**
 * The audio of one RTP stream laid out by its time stamps: what came late or twice or in disorder stands in its place
 * or is left out, gaps stay silent. A new source, or time stamps that jump, begin where they arrive.
 */
export class AudioTrack {
  /** Packets that came after their place was written. */
  late = 0;
  /** Packets that came twice. */
  duplicates = 0;
  readonly #waiting: Waiting[] = [];
  readonly #decoders = new Map<string, (payload: Uint8Array) => Int16Array>();
  #waitingBytes = 0;
  #ssrc: number | undefined;
  #anchorStamp = 0;
  #anchorS = 0;
  #lastStamp = 0;
  /** Where the last packet that was placed begins. */
  #placedS = Number.NEGATIVE_INFINITY;
  #endS = 0;

  /** The rate that the track would have by itself; 0 while nothing waits. */
  get sampleRate(): number {
    let rate = 0;
    for (const { format } of this.#waiting) rate = Math.max(rate, decodedRate(format) ?? 0);
    return rate;
  }

  /** Takes a packet of a format that has a `decodedRate`, `arrivalS` after the beginning. `payload` is kept. */
  add(arrivalS: number, ssrc: number, stamp32: number, format: AudioFormat, payload: Uint8Array): void {
    if (this.#ssrc !== ssrc) this.#begin(ssrc, stamp32, arrivalS);
    let stamp = this.#lastStamp + ((stamp32 - this.#lastStamp) | 0);
    let startS = this.#startOf(stamp, format);
    const back = (this.#lastStamp - stamp) / format.clockRate;
    const jumps =
      startS > arrivalS + farAheadS ||
      (startS < arrivalS - farBehindS && (back < 0 || back > longestUnderWayS));
    if (jumps) {
      this.#begin(ssrc, stamp32, arrivalS);
      stamp = stamp32;
      startS = this.#anchorS;
    }
    this.#lastStamp = Math.max(this.#lastStamp, stamp);
    if (startS <= this.#placedS) {
      if (startS === this.#placedS) this.duplicates++;
      else this.late++;
      return;
    }
    const waiting = this.#waiting;
    let at = waiting.length;
    while (at > 0 && waiting[at - 1]!.startS > startS) at--;
    if (at > 0 && waiting[at - 1]!.startS === startS) {
      this.duplicates++;
      return;
    }
    if (waiting.length === maxWaiting || this.#waitingBytes + payload.length > maxWaitingBytes) {
      this.late++;
      return;
    }
    waiting.splice(at, 0, { startS, format, payload });
    this.#waitingBytes += payload.length;
  }

  /** Hands over what begins before `untilS`, at `rate` samples a second. */
  render(untilS: number, rate: number, place: Place): void {
    for (let next = this.#waiting[0]; next && next.startS < untilS; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#waitingBytes -= next.payload.length;
      const samples = this.#decoderFor(next.format, rate)(next.payload);
      this.#placedS = next.startS;
      const start = Math.max(Math.round(next.startS * rate), Math.round(this.#endS * rate));
      const skipped = start - Math.round(next.startS * rate);
      if (skipped >= samples.length) continue;
      place(start, skipped > 0 ? samples.subarray(skipped) : samples);
      this.#endS = (start + samples.length - skipped) / rate;
    }
  }

  #begin(ssrc: number, stamp: number, arrivalS: number): void {
    this.#ssrc = ssrc;
    const last = this.#waiting.at(-1);
    const endS = last ? Math.max(this.#endS, last.startS + gridS) : this.#endS;
    const joined = endS > arrivalS && endS < arrivalS + joinS ? endS : arrivalS;
    this.#anchorS = Math.floor(joined / gridS + 0.5) * gridS;
    this.#anchorStamp = stamp;
    this.#lastStamp = stamp;
  }

  #startOf(stamp: number, format: AudioFormat): number {
    return this.#anchorS + (stamp - this.#anchorStamp) / format.clockRate;
  }

  #decoderFor(format: AudioFormat, rate: number): (payload: Uint8Array) => Int16Array {
    const name = `${format.encoding}/${format.clockRate}/${format.channels}`.toUpperCase();
    let known = this.#decoders.get(name);
    if (!known) {
      const own = decodedRate(format)!;
      const decode = audioDecoder(format);
      const resampler = new Resampler(own, rate);
      known = (payload) => resampler.run(decode(payload).subarray(0, maxPacketS * own));
      this.#decoders.set(name, known);
    }
    return known;
  }
}
