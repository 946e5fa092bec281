/**
 * Audio at another rate: upwards by straight lines between samples, downwards by the mean of those that fall
 * together. Exact where the rates are the same. Keeps the last sample, so that packets join.
 */
export class Resampler {
  readonly #from: number;
  readonly #to: number;
  #last = 0;

  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
  }

  run(samples: Int16Array): Int16Array {
    if (this.#from === this.#to || samples.length === 0) return samples;
    const step = this.#from / this.#to;
    const result = new Int16Array(Math.round(samples.length / step));
    for (let n = 0; n < result.length; n++) {
      const end = Math.min((n + 1) * step, samples.length);
      result[n] = step < 1 ? this.#between(samples, end - 1) : mean(samples, end - step, end);
    }
    this.#last = samples.at(-1)!;
    return result;
  }

  /** Position -1 is the last sample of the packet before. */
  #between(samples: Int16Array, position: number): number {
    const left = Math.floor(position);
    const before = left < 0 ? this.#last : samples[left]!;
    const after = samples[Math.min(left + 1, samples.length - 1)]!;
    return Math.round(before + (after - before) * (position - left));
  }
}

function mean(samples: Int16Array, from: number, to: number): number {
  const first = Math.floor(from + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to - 1e-9));
  let sum = 0;
  for (let n = first; n < last; n++) sum += samples[n]!;
  return Math.round(sum / (last - first));
}
