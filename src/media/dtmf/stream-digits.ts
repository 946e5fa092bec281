import { audioDecoder, decodedRate } from '../recording/audio-decoder.ts';
import type { AudioFormat } from '../recording/audio-format.ts';
import type { RtpPacket } from '../rtp-packet.ts';
import type { DtmfDigit } from './dtmf-digit.ts';
import { InbandDetector } from './inband-detector.ts';
import { TelephoneEvents } from './telephone-events.ts';

/** Audio that does not come for so long is silence. */
const silenceMs = 200;

/**
 * The keys pressed on one stream: by telephone events, and by tones where its side was not offered events, since
 * many gateways send a key in both ways.
 */
export class StreamDigits {
  readonly #events: TelephoneEvents;
  readonly #inband: InbandDetector | undefined;
  readonly #decoders = new Map<string, (payload: Uint8Array) => Int16Array>();
  #lastSequence = -1;
  #heardAt = 0;

  constructor(tell: (digit: Omit<DtmfDigit, 'party'>) => void, inband: boolean) {
    this.#events = new TelephoneEvents((digit, durationMs) => tell({ digit, durationMs, by: 'rtp' }));
    if (inband)
      this.#inband = new InbandDetector((digit, durationMs) => tell({ digit, durationMs, by: 'inband' }));
  }

  add(packet: RtpPacket, formats: ReadonlyMap<number, AudioFormat>, nowMs: number): void {
    const format = formats.get(packet.payloadType);
    if (!format) return;
    const encoding = format.encoding.toUpperCase();
    if (encoding === 'TELEPHONE-EVENT') {
      this.#events.add(packet, format.clockRate, nowMs);
      return;
    }
    if (!this.#inband || (encoding !== 'PCMU' && encoding !== 'PCMA') || decodedRate(format) !== 8000) return;
    if (packet.sequence === this.#lastSequence) return;
    this.#lastSequence = packet.sequence;
    this.#heardAt = nowMs;
    let decode = this.#decoders.get(encoding);
    if (!decode) this.#decoders.set(encoding, (decode = audioDecoder(format)));
    this.#inband.add(decode(packet.payload));
  }

  tick(nowMs: number): void {
    this.#events.tick(nowMs);
    if (this.#inband && nowMs - this.#heardAt >= silenceMs) this.#inband.finish();
  }
}
