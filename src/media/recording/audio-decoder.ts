import type { AudioFormat } from './audio-format.ts';
import { aLawSamples, muLawSamples } from './g711.ts';
import { G722Decoder } from './g722-decoder.ts';

const g722Rate = 16_000;

/** Rates that are audio: what an rtpmap says may be anything. */
const leastRate = 8000;
const mostRate = 48_000;

/** Samples a second of what comes out of the decoder; undefined for what is not decoded. */
export function decodedRate({ encoding, clockRate, channels }: AudioFormat): number | undefined {
  if (clockRate < leastRate || clockRate > mostRate) return undefined;
  switch (encoding.toUpperCase()) {
    case 'PCMU':
    case 'PCMA':
      return channels === 1 ? clockRate : undefined;
    case 'G722':
      return 2 * clockRate === g722Rate ? g722Rate : undefined;
    case 'L16':
      return channels > 0 && channels <= 8 ? clockRate : undefined;
    default:
      return undefined;
  }
}

/** A decoder for one stream of a format that has a `decodedRate`. */
export function audioDecoder({ encoding, channels }: AudioFormat): (payload: Uint8Array) => Int16Array {
  switch (encoding.toUpperCase()) {
    case 'PCMU':
      return byTable(muLawSamples);
    case 'PCMA':
      return byTable(aLawSamples);
    case 'G722': {
      const decoder = new G722Decoder();
      return (payload) => decoder.decode(payload);
    }
    default:
      return (payload) => linear(payload, channels);
  }
}

function byTable(samples: Int16Array): (payload: Uint8Array) => Int16Array {
  return (payload) => {
    const decoded = new Int16Array(payload.length);
    for (let n = 0; n < payload.length; n++) decoded[n] = samples[payload[n]!]!;
    return decoded;
  };
}

/** Network byte order, channel by channel (RFC 3551 4.5.11); several become one by their mean. */
function linear(payload: Uint8Array, channels: number): Int16Array {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const samples = new Int16Array(Math.floor(payload.length / (2 * channels)));
  for (let n = 0; n < samples.length; n++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += view.getInt16(2 * (n * channels + channel));
    samples[n] = Math.round(sum / channels);
  }
  return samples;
}
