import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint } from '../../net/address.ts';
import { prepareStateDirectory } from '../../state-directory.ts';
import { isRtcp } from '../latch.ts';
import { parseRtp } from '../rtp-packet.ts';
import type { RecordedCall, TappedStream } from '../tap/tap-protocol.ts';
import { decodedRate } from './audio-decoder.ts';
import { pcapDatagram, pcapHeader } from './pcap.ts';
import { RecordFile } from './record-file.ts';
import { StereoMixer } from './stereo-mixer.ts';
import { wavHeader, wavHeaderBytes } from './wav-header.ts';
import { withoutCredentials } from './without-credentials.ts';

/** What is written lags so much at most. */
const flushMs = 1000;
/** Messages of a call without media yet: more than these are left out of the capture. */
const maxEarlyBytes = 262_144;
/** Of all calls of this thread: who rings very many telephones with large messages gets no memory for each. */
const maxEarlyBytesOfAll = 16_777_216;
let earlyBytesOfAll = 0;
/** Encodings that are no audio of their own: digits and silence leave a gap. */
const noAudio: ReadonlySet<string> = new Set(['TELEPHONE-EVENT', 'CN']);

/** What the small file beside a recording says of one stream. */
interface StreamNote {
  readonly party: string;
  readonly stream: number;
  readonly media: string;
  readonly encodings: Set<string>;
  packets: number;
  /** Why the WAV has nothing of it. */
  notDecoded: string | undefined;
}

export interface RecordingEvents {
  /** The files are there. */
  begun(path: string): void;
  /** For people; `ended` where nothing is recorded from now on. */
  said(sentence: string, ended: boolean): void;
}

/**
 * One recorded call: a capture of its SIP, RTP and RTCP, a WAV with the caller on the left and the callee on the
 * right, and a JSON file that says what they are. The files begin with the first packet of media. What the disk
 * does not take ends the recording, never the call.
 */
export class CallRecording {
  readonly #directory: string;
  readonly #call: RecordedCall;
  readonly #events: RecordingEvents;
  readonly #epochMs: number;
  readonly #mixer = new StereoMixer((samples, rate) => this.#writeAudio(samples, rate));
  readonly #notes = new Map<string, StreamNote>();
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #base = '';
  #startMs = 0;
  /** When the first audio came: where the WAV begins. */
  #audioMs: number | undefined;
  #capture: RecordFile | undefined;
  #wav: RecordFile | undefined;
  #flushedAt = 0;
  /** The last moment that was told of. */
  #seenMs = 0;
  #ended = false;
  #stopped: string | undefined;

  /** Times are by a clock that nobody sets, `epochMs` less than those that people read. */
  constructor(directory: string, call: RecordedCall, events: RecordingEvents, epochMs = 0) {
    this.#epochMs = epochMs;
    this.#directory = directory;
    this.#call = call;
    this.#events = events;
  }

  get ended(): boolean {
    return this.#ended;
  }

  message(timeMs: number, source: Endpoint, destination: Endpoint, text: string): void {
    const record = pcapDatagram(
      this.#epochMs + timeMs,
      source,
      destination,
      Buffer.from(withoutCredentials(text), 'latin1'),
    );
    if (!record || this.#ended) return;
    if (this.#capture) this.#guard(() => this.#capture!.append(record));
    else if (
      this.#earlyBytes + record.length <= maxEarlyBytes &&
      earlyBytesOfAll + record.length <= maxEarlyBytesOfAll
    ) {
      this.#early.push(record);
      this.#earlyBytes += record.length;
      earlyBytesOfAll += record.length;
    }
  }

  packet(stream: TappedStream, timeMs: number, source: Endpoint, shared: Uint8Array): void {
    if (this.#ended) return;
    this.#seenMs = timeMs;
    this.#guard(() => {
      if (!this.#capture) this.#begin(timeMs);
      const bytes = Uint8Array.from(shared);
      const record = pcapDatagram(this.#epochMs + timeMs, source, stream.local, bytes);
      if (record) this.#capture!.append(record);
      if (stream.isRtp && bytes.length >= 2 && !isRtcp(bytes[1]!)) this.#audio(stream, timeMs, bytes);
    });
  }

  tick(nowMs: number): void {
    if (this.#ended || !this.#capture) return;
    this.#seenMs = nowMs;
    this.#guard(() => {
      if (this.#audioMs !== undefined) this.#mixer.advance((nowMs - this.#audioMs) / 1000);
      if (nowMs - this.#flushedAt < flushMs) return;
      this.#flushedAt = nowMs;
      this.#flush();
    });
  }

  /** The end of the call, or of what is to be recorded of it. */
  end(nowMs: number): void {
    if (this.#ended) return;
    this.#guard(() => {
      if (this.#audioMs !== undefined) this.#mixer.finish((nowMs - this.#audioMs) / 1000);
      this.#flush();
    });
    this.#close(nowMs);
  }

  #begin(nowMs: number): void {
    this.#startMs = nowMs;
    this.#flushedAt = nowMs;
    prepareStateDirectory(this.#directory);
    this.#base = join(this.#directory, fileName(this.#epochMs + nowMs, this.#call.callId));
    this.#capture = new RecordFile(`${this.#base}.pcap`);
    this.#capture.append(pcapHeader());
    for (const record of this.#early) this.#capture.append(record);
    this.#forgetEarly();
    this.#capture.flush();
    this.#writeNote(undefined);
    this.#events.begun(this.#base);
  }

  #forgetEarly(): void {
    earlyBytesOfAll -= this.#earlyBytes;
    this.#earlyBytes = 0;
    this.#early = [];
  }

  #audio(stream: TappedStream, timeMs: number, bytes: Uint8Array): void {
    const packet = parseRtp(bytes);
    if (!packet) return;
    const format = stream.formats.get(packet.payloadType);
    const note = this.#noteOf(stream);
    note.packets++;
    const name = format?.encoding ?? `payload type ${packet.payloadType}`;
    if (note.encodings.size < 16) note.encodings.add(name);
    if (stream.media !== 'audio' || noAudio.has(name.toUpperCase())) return;
    if (stream.encrypted !== undefined) this.#notDecoded(note, `is encrypted (${stream.encrypted})`);
    else if (!format || decodedRate(format) === undefined)
      this.#notDecoded(note, `is ${name}, which is not decoded`);
    else {
      this.#audioMs ??= timeMs;
      const arrivalS = (timeMs - this.#audioMs) / 1000;
      this.#mixer.add(
        stream.slot,
        stream.party,
        arrivalS,
        packet.ssrc,
        packet.timestamp,
        format,
        packet.payload,
      );
    }
  }

  #noteOf(stream: TappedStream): StreamNote {
    const key = `${stream.party} ${stream.index}`;
    let note = this.#notes.get(key);
    if (!note) {
      const { party, index, media } = stream;
      note = { party, stream: index, media, encodings: new Set(), packets: 0, notDecoded: undefined };
      this.#notes.set(key, note);
    }
    return note;
  }

  #notDecoded(note: StreamNote, why: string): void {
    if (note.notDecoded !== undefined) return;
    note.notDecoded = why;
    this.#events.said(`the audio of the ${note.party} ${why}: it is in the capture, not in the WAV`, false);
  }

  #writeAudio(samples: Int16Array, rate: number): void {
    if (!this.#wav) {
      this.#wav = new RecordFile(`${this.#base}.wav`);
      this.#wav.append(wavHeader(rate, 0));
    }
    this.#wav.append(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
  }

  #flush(): void {
    this.#capture?.flush();
    if (!this.#wav) return;
    this.#wav.flush();
    this.#wav.overwrite(0, wavHeader(this.#mixer.sampleRate, this.#wav.length - wavHeaderBytes));
  }

  /** Whatever the disk refuses ends the recording. */
  #guard(write: () => void): void {
    try {
      write();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
      this.#stopped = full ? `there is no room (${code})` : message;
      this.#events.said(`the recording ends before the call: ${this.#stopped}`, true);
      this.#close(this.#seenMs);
    }
  }

  #close(nowMs: number): void {
    this.#ended = true;
    this.#forgetEarly();
    for (const file of [this.#capture, this.#wav]) {
      try {
        file?.close(true);
      } catch {
        // What could not be written is told of already.
      }
    }
    if (!this.#capture) return;
    try {
      this.#writeNote(nowMs);
    } catch (error) {
      if (this.#stopped === undefined)
        this.#events.said(`${this.#base}.json cannot be written: ${error}`, true);
    }
  }

  /** `endMs` is undefined while the call is recorded. */
  #writeNote(endMs: number | undefined): void {
    const time = (ms: number): string => new Date(this.#epochMs + ms).toISOString();
    const note = {
      ...this.#call,
      start: time(this.#startMs),
      ...(endMs !== undefined && { end: time(endMs) }),
      ...(this.#stopped !== undefined && { stopped: this.#stopped }),
      ...(this.#audioMs !== undefined && {
        wav: {
          start: time(this.#audioMs),
          sampleRate: this.#mixer.sampleRate,
          left: 'caller',
          right: 'callee',
          late: this.#mixer.late,
          duplicates: this.#mixer.duplicates,
        },
      }),
      streams: [...this.#notes.values()].map(({ encodings, notDecoded, ...rest }) => ({
        ...rest,
        encodings: [...encodings],
        ...(notDecoded !== undefined && { notDecoded }),
      })),
    };
    // In place of the one before, whatever it has become: in a directory of others it may be a link by now.
    const fresh = `${this.#base}.json.new`;
    writeFileSync(fresh, `${JSON.stringify(note, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(fresh, `${this.#base}.json`);
  }
}

/** `20260101T101500.123-call-id-1a2b3c4d`: in order of time, and unique although the Call-ID is cut and cleaned. */
function fileName(nowMs: number, callId: string): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|Z$/g, '');
  const hash = createHash('sha256').update(`${callId} ${nowMs}`).digest('hex').slice(0, 8);
  const shown = callId
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '')
    .slice(0, 48);
  return `${time}-${shown}-${hash}`;
}
