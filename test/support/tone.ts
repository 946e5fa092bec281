/** A pure tone found in audio. */
export interface Tone {
  readonly frequencyHz: number;
  /** Share of the whole energy that lies at that frequency: 1 for a pure tone, near 0 for noise or silence. */
  readonly share: number;
}

/** Frequencies that a telephone passes, in steps of 10 Hz. */
const telephoneBandHz: readonly number[] = Array.from({ length: 311 }, (_, index) => 300 + index * 10);

/**
 * Share of the energy of `samples` at one frequency, by Goertzel's recurrence. Half a period or less of
 * anything, or silence, has none.
 */
export function toneShare(samples: ArrayLike<number>, sampleRateHz: number, frequencyHz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequencyHz) / sampleRateHz);
  let energy = 0;
  let previous = 0;
  let beforeThat = 0;
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index]!;
    energy += sample * sample;
    [previous, beforeThat] = [sample + coefficient * previous - beforeThat, previous];
  }
  if (energy === 0) return 0;
  const power = previous * previous + beforeThat * beforeThat - coefficient * previous * beforeThat;
  return Math.min(1, power / (energy * (samples.length / 2)));
}

/** The strongest tone of the telephone band; undefined for silence. */
export function strongestTone(samples: ArrayLike<number>, sampleRateHz: number): Tone | undefined {
  let strongest: Tone | undefined;
  for (const frequencyHz of telephoneBandHz) {
    const share = toneShare(samples, sampleRateHz, frequencyHz);
    if (share > (strongest?.share ?? 0)) strongest = { frequencyHz, share };
  }
  return strongest;
}

/** A sine of 16-bit samples at a quarter of full scale, or at `amplitude`. */
export function sineSamples(
  frequencyHz: number,
  sampleRateHz: number,
  durationMs: number,
  amplitude = 8192,
): Int16Array {
  const step = (2 * Math.PI * frequencyHz) / sampleRateHz;
  return Int16Array.from(
    { length: (sampleRateHz * durationMs) / 1000 },
    (_, n) => amplitude * Math.sin(step * n),
  );
}

/** G.711 µ-law of one 16-bit sample (ITU-T G.711, table 2a). */
export function encodeMuLaw(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32635) + 132;
  const exponent = 24 - Math.clz32(magnitude); // 132 = 2^7 + 4 lies in segment 0
  return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) & 0xff;
}

/** The 16-bit sample of one byte of G.711 µ-law. */
export function decodeMuLaw(byte: number): number {
  const bits = ~byte & 0xff;
  const magnitude = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132;
  return bits & 0x80 ? -magnitude : magnitude;
}
