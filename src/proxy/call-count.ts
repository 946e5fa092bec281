import type { Clock } from '../net/clock.ts';
import { byeMs } from './end-dialog.ts';

/** The calls that run now, each under a name of its own. */
export interface CallsInProgress {
  readonly calls: number;
  keys(): Iterable<string>;
  has(key: string): boolean;
}

/** A call whose BYE nobody ever saw is given up after so long without a re-INVITE. */
const forgottenAfterMs = 12 * 3600_000;
const mostCalls = 100_000;

/**
 * Counts calls where no media is relayed that would tell: from the 2xx of the INVITE to the end of the BYE. One
 * look-up for each of them, and nothing for any other message.
 */
export class CallCount implements CallsInProgress {
  readonly #clock: Clock;
  /** Call-ID and the tag of the side that answered → uptime; the insertion order is their age. */
  readonly #calls = new Map<string, number>();
  /** Calls whose BYE passed and was not answered yet → the uptime at which they are over; in the order of that. */
  readonly #ending = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get calls(): number {
    this.#forgetOld();
    this.#forgetEnded();
    return this.#calls.size + this.#ending.size;
  }

  *keys(): Iterable<string> {
    this.#forgetEnded();
    yield* this.#calls.keys();
    yield* this.#ending.keys();
  }

  has(key: string): boolean {
    this.#forgetEnded();
    return this.#calls.has(key) || this.#ending.has(key);
  }

  began(callId: string, answeringTag: string | undefined, askingTag?: string): void {
    const key = keyOf(callId, answeringTag);
    // A re-INVITE whose answer crosses the BYE begins nothing.
    if (this.#ending.has(key) || this.#ending.has(keyOf(callId, askingTag))) return;
    this.#calls.delete(key);
    this.#calls.set(key, this.#clock.uptime());
    if (this.#calls.size > mostCalls) this.#forgetOldest();
  }

  /** A BYE passes that nobody waits for: the call is over with the answer to it, or in time without one. */
  ending(callId: string, fromTag: string | undefined, toTag: string | undefined): void {
    this.#forgetEnded();
    for (const key of [keyOf(callId, fromTag), keyOf(callId, toTag)]) {
      if (this.#calls.delete(key)) this.#ending.set(key, this.#clock.uptime() + byeMs);
    }
  }

  /** The BYE was refused. */
  goesOn(callId: string, fromTag: string | undefined, toTag: string | undefined): void {
    for (const key of [keyOf(callId, fromTag), keyOf(callId, toTag)]) {
      if (this.#ending.delete(key)) this.#calls.set(key, this.#clock.uptime());
    }
  }

  /** Either side may have answered, and either may end it. */
  ended(callId: string, fromTag: string | undefined, toTag: string | undefined): void {
    for (const key of [keyOf(callId, fromTag), keyOf(callId, toTag)]) {
      if (!this.#ending.delete(key)) this.#calls.delete(key);
    }
  }

  #forgetEnded(): void {
    if (this.#ending.size === 0) return;
    const now = this.#clock.uptime();
    for (const [key, due] of this.#ending) {
      if (due > now) return;
      this.#ending.delete(key);
    }
  }

  #forgetOld(): void {
    const before = this.#clock.uptime() - forgottenAfterMs;
    for (const [key, since] of this.#calls) {
      if (since > before) return;
      this.#calls.delete(key);
    }
  }

  #forgetOldest(): void {
    const oldest = this.#calls.keys().next();
    if (!oldest.done) this.#calls.delete(oldest.value);
  }
}

function keyOf(callId: string, answeringTag: string | undefined): string {
  return `${callId}\n${answeringTag ?? ''}`;
}
