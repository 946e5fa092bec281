import type { Endpoint } from '../../net/address.ts';
import { monotonicMs } from '../../net/monotonic.ts';
import type { DtmfDigit } from '../dtmf/dtmf-digit.ts';
import type { Forwarder } from '../forwarder.ts';
import type { MediaTap } from '../media-contract.ts';
import type { MediaLog } from '../media-log.ts';
import type { RecordedCall, TappedStream, TapReport } from './tap-protocol.ts';
import type { TapListener, TapThread } from './tap-thread.ts';

export interface CallTapOptions {
  readonly thread: TapThread;
  readonly forwarder: Forwarder;
  readonly log: MediaLog;
  readonly directory: string;
  readonly callId: string;
  readonly onDigit: (digit: DtmfDigit) => void;
  readonly ended: () => void;
}

/** What is looked for in the packets of one call: a recording, digits. The kernel forwards none of them meanwhile. */
export class CallTap implements MediaTap, TapListener {
  readonly #options: CallTapOptions;
  readonly #call: number;
  #streams: readonly TappedStream[] = [];
  #records = false;
  #digits: 'off' | 'events' | 'inband' = 'off';
  #ended: Promise<void> | undefined;

  constructor(options: CallTapOptions) {
    this.#options = options;
    this.#call = options.thread.begin(this);
  }

  get recording(): boolean {
    return this.#records;
  }

  record(what: RecordedCall): void {
    if (this.#records || this.#ended !== undefined) return;
    this.#records = true;
    this.#options.thread.tell(['record', this.#call, this.#options.directory, what]);
    this.#apply();
  }

  stopRecording(): void {
    if (!this.#records || this.#ended !== undefined) return;
    this.#records = false;
    this.#apply();
    // Packets that are under way between the threads are still recorded.
    void this.#options.forwarder
      .flush()
      .then(() => this.#options.thread.tell(['stop-recording', this.#call]));
  }

  /** In audio as well with `inband`. */
  watchDigits(kind: 'events' | 'inband'): void {
    this.#digits = kind;
    this.#options.thread.tell(['dtmf', this.#call, kind === 'inband']);
    this.#apply();
  }

  /** A SIP message of the call, as it is on the wire. */
  message(source: Endpoint, destination: Endpoint, text: string): void {
    if (this.#ended !== undefined) return;
    const { thread } = this.#options;
    thread.tell(['message', this.#call, monotonicMs(), source, destination, text]);
  }

  /** All streams of the call from now on. */
  setStreams(streams: readonly TappedStream[]): void {
    if (this.#ended !== undefined) return;
    this.#streams = streams;
    this.#options.thread.tell(['streams', this.#call, streams]);
    this.#apply();
  }

  /** The media is over. Resolves when everything is written. */
  end(): Promise<void> {
    const { forwarder, thread, ended } = this.#options;
    this.#ended ??= forwarder
      .flush()
      .then(() => thread.end(this.#call))
      .finally(ended);
    return this.#ended;
  }

  report(report: TapReport): void {
    const { log, callId, onDigit } = this.#options;
    if (report[0] === 'digit') onDigit(report[2]);
    else if (report[0] === 'recording') log.info('a call is recorded', { callId, file: report[2] });
    else if (report[0] === 'said') {
      log.warn(`recording of ${callId}: ${report[2]}`);
      if (!report[3]) return;
      this.#records = false;
      this.#apply();
    }
  }

  lost(): void {
    this.#records = false;
    this.#digits = 'off';
    this.#apply();
    this.#ended ??= Promise.resolve();
    this.#options.ended();
  }

  #apply(): void {
    if (this.#ended !== undefined) return;
    for (const stream of this.#streams) this.#options.forwarder.tap(stream.slot, this.#wanted(stream));
  }

  /** The payload types of a stream that are looked at; none named for all packets. */
  #wanted({ isRtp, encrypted, formats }: TappedStream): readonly number[] | undefined {
    if (this.#records) return [];
    if (this.#digits === 'off' || !isRtp || encrypted !== undefined) return undefined;
    const events = typesOf(formats, ['telephone-event']);
    if (events.length > 0) return events;
    const audio = this.#digits === 'inband' ? typesOf(formats, ['pcmu', 'pcma']) : [];
    return audio.length > 0 ? audio : undefined;
  }
}

function typesOf(formats: TappedStream['formats'], encodings: readonly string[]): number[] {
  return [...formats].flatMap(([type, { encoding }]) =>
    encodings.includes(encoding.toLowerCase()) ? [type] : [],
  );
}
