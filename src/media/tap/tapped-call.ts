import type { Endpoint } from '../../net/address.ts';
import { monotonicMs } from '../../net/monotonic.ts';
import type { DtmfDigit } from '../dtmf/dtmf-digit.ts';
import { StreamDigits } from '../dtmf/stream-digits.ts';
import { isRtcp } from '../latch.ts';
import { CallRecording, type RecordingEvents } from '../recording/call-recording.ts';
import { parseRtp } from '../rtp-packet.ts';
import type { RecordedCall, TappedStream } from './tap-protocol.ts';

/** Keys of one call that are told of at most: whoever sends them as packets sends very many. */
const maxDigits = 1000;

/** What is done with the packets of one call. */
export class TappedCall {
  /** Of all its streams so far. */
  readonly slots: Set<number> = new Set();
  #recording: CallRecording | undefined;
  #digits: Map<number, StreamDigits> | undefined;
  #inband = false;
  #told = 0;
  readonly #onDigit: (digit: DtmfDigit) => void;

  constructor(onDigit: (digit: DtmfDigit) => void) {
    this.#onDigit = onDigit;
  }

  record(directory: string, what: RecordedCall, events: RecordingEvents): void {
    if (this.#recording && !this.#recording.ended) return;
    this.#recording = new CallRecording(directory, what, events, Date.now() - monotonicMs());
  }

  stopRecording(nowMs: number): void {
    this.#recording?.end(nowMs);
    this.#recording = undefined;
  }

  watchDigits(inband: boolean): void {
    this.#digits = new Map();
    this.#inband = inband;
  }

  message(timeMs: number, source: Endpoint, destination: Endpoint, text: string): void {
    this.#recording?.message(timeMs, source, destination, text);
  }

  packet(stream: TappedStream, timeMs: number, source: Endpoint, bytes: Uint8Array): void {
    this.#recording?.packet(stream, timeMs, source, bytes);
    if (!this.#digits || stream.encrypted !== undefined || bytes.length < 12 || isRtcp(bytes[1]!)) return;
    const packet = stream.isRtp ? parseRtp(bytes) : undefined;
    if (!packet) return;
    let digits = this.#digits.get(stream.slot);
    if (!digits) {
      const { party } = stream;
      const byEvents = [...stream.formats.values()].some(isEvent);
      digits = new StreamDigits((digit) => this.#tell({ party, ...digit }), this.#inband && !byEvents);
      this.#digits.set(stream.slot, digits);
    }
    digits.add(packet, stream.formats, timeMs);
  }

  #tell(digit: DtmfDigit): void {
    if (++this.#told <= maxDigits) this.#onDigit(digit);
  }

  tick(nowMs: number): void {
    this.#recording?.tick(nowMs);
    for (const digits of this.#digits?.values() ?? []) digits.tick(nowMs);
  }

  end(nowMs: number): void {
    // Whatever was held is over.
    for (const digits of this.#digits?.values() ?? []) digits.tick(Number.POSITIVE_INFINITY);
    this.stopRecording(nowMs);
  }
}

function isEvent({ encoding }: { readonly encoding: string }): boolean {
  return encoding.toLowerCase() === 'telephone-event';
}
