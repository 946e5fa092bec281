/** The tables of ITU-T G.722, clause 6. */
const logSteps = [
  2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960,
  3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
const lowWeights = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const highWeights = [798, -214, 798, -214];
const highLevels = [-7408, -1616, 7408, 1616];
const fourBitLevels = [
  0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
];
const sixBitLevels = [
  -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
  -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
  -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192,
  6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432,
  -136,
];
const mirrorFilter = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/** Decodes G.722 at 64 kbit/s to 16,000 samples a second. Holds the state of one stream. */
export class G722Decoder {
  readonly #low = new SubBand(32, 8, 18_432, lowWeights);
  readonly #high = new SubBand(8, 10, 22_528, highWeights);
  readonly #history = new Int32Array(24);

  /** Two samples a byte. */
  decode(bytes: Uint8Array): Int16Array {
    const samples = new Int16Array(bytes.length * 2);
    const history = this.#history;
    for (let n = 0; n < bytes.length; n++) {
      const code = bytes[n]!;
      const lowCode = code & 0x3f;
      const highCode = code >> 6;
      const low = clamp(
        this.#low.signal + ((this.#low.step * sixBitLevels[lowCode]!) >> 15),
        -16_384,
        16_383,
      );
      // The predictor of the low band runs on four of the six bits, so that those who steal two hear the same.
      this.#low.adapt((this.#low.step * fourBitLevels[lowCode >> 2]!) >> 15, lowCode >> 2);
      const difference = (this.#high.step * highLevels[highCode]!) >> 15;
      const high = clamp(this.#high.signal + difference, -16_384, 16_383);
      this.#high.adapt(difference, highCode);

      history.copyWithin(0, 2);
      history[22] = low + high;
      history[23] = low - high;
      let even = 0;
      let odd = 0;
      for (let tap = 0; tap < 12; tap++) {
        odd += history[2 * tap]! * mirrorFilter[tap]!;
        even += history[2 * tap + 1]! * mirrorFilter[11 - tap]!;
      }
      samples[2 * n] = saturate(even >> 11);
      samples[2 * n + 1] = saturate(odd >> 11);
    }
    return samples;
  }
}

/** The adaptive quantizer's scale and the predictor of one half of the spectrum (blocks 3 and 4). */
class SubBand {
  /** What the predictor expects next. */
  signal = 0;
  /** The quantizer's scale. */
  step: number;
  #logStep = 0;
  #zeroPart = 0;
  readonly #shift: number;
  readonly #maxLogStep: number;
  readonly #weights: readonly number[];
  readonly #zeros = new Int32Array(7);
  readonly #differences = new Int32Array(7);
  readonly #poles = new Int32Array(3);
  readonly #reconstructed = new Int32Array(3);
  readonly #partial = new Int32Array(3);

  constructor(step: number, shift: number, maxLogStep: number, weights: readonly number[]) {
    this.step = step;
    this.#shift = shift;
    this.#maxLogStep = maxLogStep;
    this.#weights = weights;
  }

  /** Takes the quantized difference and its code. */
  adapt(difference: number, code: number): void {
    this.#logStep = clamp(((this.#logStep * 127) >> 7) + this.#weights[code]!, 0, this.#maxLogStep);
    const shift = this.#shift - (this.#logStep >> 11);
    const mantissa = logSteps[(this.#logStep >> 6) & 31]!;
    this.step = (shift < 0 ? mantissa << -shift : mantissa >> shift) << 2;
    this.#predict(difference);
  }

  #predict(difference: number): void {
    const d = this.#differences;
    const p = this.#partial;
    const a = this.#poles;
    const b = this.#zeros;
    const r = this.#reconstructed;
    d[0] = difference;
    r[0] = saturate(this.signal + difference);
    p[0] = saturate(this.#zeroPart + difference);
    const same = (one: number, other: number): boolean => one < 0 === other < 0;

    const turned = saturate(a[1]! << 2);
    let second = Math.min(same(p[0], p[1]!) ? -turned : turned, 32_767) >> 7;
    second += same(p[0], p[2]!) ? 128 : -128;
    second = clamp(second + ((a[2]! * 32_512) >> 15), -12_288, 12_288);
    const limit = saturate(15_360 - second);
    const first = saturate((same(p[0], p[1]!) ? 192 : -192) + ((a[1]! * 32_640) >> 15));

    const leap = difference === 0 ? 0 : 128;
    for (let i = 1; i < 7; i++)
      b[i] = saturate((same(d[i]!, difference) ? leap : -leap) + ((b[i]! * 32_640) >> 15));
    a[1] = clamp(first, -limit, limit);
    a[2] = second;
    d.copyWithin(1, 0, 6);
    r.copyWithin(1, 0, 2);
    p.copyWithin(1, 0, 2);

    const polePart = saturate(((a[1]! * saturate(2 * r[1]!)) >> 15) + ((a[2]! * saturate(2 * r[2]!)) >> 15));
    let zeroPart = 0;
    for (let i = 6; i > 0; i--) zeroPart += (b[i]! * saturate(2 * d[i]!)) >> 15;
    this.#zeroPart = saturate(zeroPart);
    this.signal = saturate(polePart + this.#zeroPart);
  }
}

function clamp(value: number, least: number, most: number): number {
  return value < least ? least : value > most ? most : value;
}

function saturate(value: number): number {
  return clamp(value, -32_768, 32_767);
}
