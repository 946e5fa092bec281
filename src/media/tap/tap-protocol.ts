import type { MessagePort } from 'node:worker_threads';
import type { Endpoint } from '../../net/address.ts';
import type { DtmfDigit } from '../dtmf/dtmf-digit.ts';
import type { Party } from '../media-contract.ts';
import type { AudioFormat } from '../recording/audio-format.ts';

/** One stream of one side whose packets are copied. */
export interface TappedStream {
  readonly slot: number;
  /** Which owner of the slot is meant. */
  readonly generation: number;
  readonly party: Party;
  /** Position of the `m=` line, from 0. */
  readonly index: number;
  readonly media: string;
  /** False for the port beside it, which has RTCP alone. */
  readonly isRtp: boolean;
  /** The relay's end by the address that the side was told. */
  readonly local: Endpoint;
  /** By payload type. */
  readonly formats: ReadonlyMap<number, AudioFormat>;
  /** The profile of SDP where what is in the packets cannot be read. */
  readonly encrypted: string | undefined;
}

export interface RecordedCall {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  /** Why it is recorded. */
  readonly reason: string;
}

/** What the main thread tells the one that looks at copies of packets. Order counts, and times are those of `monotonicMs`. */
export type TapCommand =
  | readonly ['begin', call: number]
  /** All streams of the call from now on. */
  | readonly ['streams', call: number, streams: readonly TappedStream[]]
  | readonly ['record', call: number, directory: string, what: RecordedCall]
  | readonly ['stop-recording', call: number]
  /** Digits are looked for; in audio as well where `inband`. */
  | readonly ['dtmf', call: number, inband: boolean]
  | readonly ['message', call: number, timeMs: number, source: Endpoint, destination: Endpoint, text: string]
  | readonly ['end', call: number]
  /** Answered by `done` when everything before it is done. */
  | readonly ['sync', ticket: number]
  | readonly ['stop'];

/** A command, and how far the ring was written when it was given. */
export type TapMessage = readonly [head: number, command: TapCommand];

export type TapReport =
  | readonly ['digit', call: number, digit: DtmfDigit]
  /** The first packet came, and the files are there. */
  | readonly ['recording', call: number, path: string]
  /** Something about a recording that people should know: why it ended before the call, what is not decoded. */
  | readonly ['said', call: number, sentence: string, ended: boolean]
  /** So many bytes of SIP were taken since the last word. */
  | readonly ['took', bytes: number]
  /** Copies of packets found no room in the ring: so many since the last word. */
  | readonly ['dropped', count: number]
  | readonly ['done', ticket: number];

export interface TapData {
  readonly port: MessagePort;
  /** Of the ring that the media thread copies packets into. */
  readonly ring: SharedArrayBuffer;
}
