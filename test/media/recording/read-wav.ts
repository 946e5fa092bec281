import { readFileSync } from 'node:fs';

export interface Wav {
  readonly sampleRate: number;
  readonly left: Int16Array;
  readonly right: Int16Array;
}

/** Reads a stereo file by what its header says; throws where that is not the truth. */
export function readWav(path: string): Wav {
  const bytes = readFileSync(path);
  const data = bytes.readUInt32LE(40);
  const form = [
    bytes.toString('latin1', 0, 4),
    bytes.toString('latin1', 8, 16),
    bytes.toString('latin1', 36, 40),
  ];
  if (form.join() !== 'RIFF,WAVEfmt ,data' || bytes.readUInt16LE(22) !== 2 || bytes.readUInt16LE(34) !== 16)
    throw new Error(`no WAV of 16-bit stereo: ${bytes.subarray(0, 44).toString('hex')}`);
  if (44 + data > bytes.length) throw new Error(`the header of ${path} promises ${data} bytes too many`);
  const count = data / 4;
  const channel = (at: number): Int16Array =>
    Int16Array.from({ length: count }, (_, n) => bytes.readInt16LE(44 + 4 * n + at));
  return { sampleRate: bytes.readUInt32LE(24), left: channel(0), right: channel(2) };
}
