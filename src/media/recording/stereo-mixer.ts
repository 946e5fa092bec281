import type { Party } from '../media-contract.ts';
import type { AudioFormat } from './audio-format.ts';
import { AudioTrack } from './audio-track.ts';

/** How long a packet may be under way until its place is written. */
export const mixDelayS = 0.6;
/** Beyond what is written lies at most a packet that began before. */
const spillS = 1.5;
/** What is written at once at most: a tick that came late is caught up in pieces. */
const pieceS = 1;

/** Where a mixer's audio goes: 16-bit samples, left and right in turn. */
export type WriteStereo = (samples: Int16Array, sampleRate: number) => void;

/**
 * The streams of both sides in one recording: the caller on the left, the callee on the right, several of one side
 * added. The rate is that of the best of the streams when the first piece is written; later ones follow it.
 */
export class StereoMixer {
  readonly #write: WriteStereo;
  /** By whatever names a stream. */
  readonly #tracks = new Map<number, { readonly channel: 0 | 1; readonly track: AudioTrack }>();
  #rate = 0;
  #mix = new Int16Array(0);
  /** Samples that are written. */
  #written = 0;
  /** The end of what lies in the mix, in samples. */
  #end = 0;

  constructor(write: WriteStereo) {
    this.#write = write;
  }

  /** Packets that found their place written, or came twice. */
  get late(): number {
    return this.#sum((track) => track.late);
  }

  get duplicates(): number {
    return this.#sum((track) => track.duplicates);
  }

  get sampleRate(): number {
    return this.#rate;
  }

  /** `payload` is kept. */
  add(
    stream: number,
    party: Party,
    arrivalS: number,
    ssrc: number,
    stamp: number,
    format: AudioFormat,
    payload: Uint8Array,
  ): void {
    let known = this.#tracks.get(stream);
    if (!known) {
      known = { channel: party === 'caller' ? 0 : 1, track: new AudioTrack() };
      this.#tracks.set(stream, known);
    }
    known.track.add(arrivalS, ssrc, stamp, format, payload);
  }

  /** Writes what is `mixDelayS` old by now. */
  advance(nowS: number): void {
    this.#renderUntil(nowS - mixDelayS);
  }

  /** Writes all that is there, but nothing beyond `nowS`. */
  finish(nowS: number): void {
    this.#renderUntil(nowS);
    if (this.#rate > 0 && this.#end > this.#written) this.#flush(this.#end);
  }

  #renderUntil(untilS: number): void {
    if (this.#rate === 0) {
      for (const { track } of this.#tracks.values()) this.#rate = Math.max(this.#rate, track.sampleRate);
      if (this.#rate === 0 || untilS <= 0) {
        this.#rate = 0;
        return;
      }
      this.#mix = new Int16Array(Math.ceil((pieceS + spillS) * this.#rate) * 2);
    }
    const until = Math.floor(untilS * this.#rate);
    while (this.#written < until) {
      const piece = Math.min(until, this.#written + pieceS * this.#rate);
      for (const { channel, track } of this.#tracks.values()) {
        track.render(piece / this.#rate, this.#rate, (start, samples) =>
          this.#place(channel, start, samples),
        );
      }
      this.#flush(piece);
    }
  }

  #place(channel: number, start: number, samples: Int16Array): void {
    const mix = this.#mix;
    const offset = start - this.#written;
    // What begins before what is written has lost that part.
    const first = Math.max(0, -offset);
    const end = Math.min(samples.length, mix.length / 2 - offset);
    for (let n = first, at = (offset + first) * 2 + channel; n < end; n++, at += 2) {
      const sum = mix[at]! + samples[n]!;
      mix[at] = sum > 32_767 ? 32_767 : sum < -32_768 ? -32_768 : sum;
    }
    this.#end = Math.max(this.#end, start + end);
  }

  #flush(until: number): void {
    const length = (until - this.#written) * 2;
    this.#write(this.#mix.slice(0, length), this.#rate);
    this.#mix.copyWithin(0, length);
    this.#mix.fill(0, this.#mix.length - length);
    this.#written = until;
  }

  #sum(of: (track: AudioTrack) => number): number {
    let sum = 0;
    for (const { track } of this.#tracks.values()) sum += of(track);
    return sum;
  }
}
