import type { RtpPacket } from '../rtp-packet.ts';
import { eventNames } from './dtmf-digit.ts';

/** No word of an event for so long: its end was lost. */
const lostEndMs = 500;
/** The longest duration that an event can say; longer ones are split into segments (RFC 4733 2.5.1.3). */
const longestSegment = 0xffff;
/** How much of a segment's last word may have been lost. */
const segmentSlack = 0x2000;

/** Of telephone events, also where the description says 0. */
const usualRate = 8000;

interface Event {
  readonly ssrc: number;
  readonly event: number;
  /** The time stamp of the first segment, and of the one that is under way. */
  readonly first: number;
  segment: number;
  /** Of the segment so far, in ticks. */
  duration: number;
  heardAt: number;
  told: boolean;
}

/**
 * Telephone events of one stream (RFC 4733): each key once, at its end, with how long it was held. Packets that are
 * lost, doubled or out of order and ends that are sent three times change nothing.
 */
export class TelephoneEvents {
  readonly #tell: (digit: string, durationMs: number) => void;
  #current: Event | undefined;
  #rate = usualRate;

  constructor(tell: (digit: string, durationMs: number) => void) {
    this.#tell = tell;
  }

  add({ payload, timestamp, ssrc }: RtpPacket, rate: number, nowMs: number): void {
    const event = payload[0]!;
    if (payload.length < 4 || event >= eventNames.length) return;
    const ended = (payload[1]! & 0x80) !== 0;
    const duration = (payload[2]! << 8) | payload[3]!;
    let current = this.#current;
    if (current?.ssrc === ssrc) {
      const ahead = (timestamp - current.segment) | 0;
      // From before: what it says was told already.
      if (ahead < 0) return;
      if (ahead > 0 && !current.told && continues(current, event, ahead)) {
        current.segment = timestamp;
        current.duration = 0;
      } else if (ahead > 0) current = undefined;
    } else current = undefined;
    if (!current) {
      this.#finish();
      current = {
        ssrc,
        event,
        first: timestamp,
        segment: timestamp,
        duration: 0,
        heardAt: nowMs,
        told: false,
      };
      this.#current = current;
    }
    this.#rate = rate > 0 ? rate : usualRate;
    if (current.told || current.event !== event) return;
    current.heardAt = nowMs;
    current.duration = Math.max(current.duration, duration);
    if (ended) this.#finish();
  }

  /** To be called now and then: an event whose end was lost ends by itself. */
  tick(nowMs: number): void {
    if (this.#current && nowMs - this.#current.heardAt >= lostEndMs) this.#finish();
  }

  #finish(): void {
    const current = this.#current;
    if (!current || current.told) return;
    current.told = true;
    const ticks = ((current.segment - current.first) >>> 0) + current.duration;
    this.#tell(eventNames[current.event]!, Math.round((ticks * 1000) / this.#rate));
  }
}

function continues(current: Event, event: number, ahead: number): boolean {
  return (
    current.event === event &&
    ahead <= longestSegment &&
    ahead >= longestSegment - segmentSlack &&
    current.duration >= longestSegment - segmentSlack
  );
}
