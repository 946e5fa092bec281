import type { Clock } from '../net/clock.ts';

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

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get calls(): number {
    this.#forgetOld();
    return this.#calls.size;
  }

  keys(): Iterable<string> {
    return this.#calls.keys();
  }

  has(key: string): boolean {
    return this.#calls.has(key);
  }

  began(callId: string, answeringTag: string | undefined): void {
    const key = `${callId}\n${answeringTag ?? ''}`;
    this.#calls.delete(key);
    this.#calls.set(key, this.#clock.uptime());
    if (this.#calls.size > mostCalls) this.#forgetOldest();
  }

  /** Either side may have answered, and either may end it. */
  ended(callId: string, fromTag: string | undefined, toTag: string | undefined): void {
    this.#calls.delete(`${callId}\n${fromTag ?? ''}`);
    this.#calls.delete(`${callId}\n${toTag ?? ''}`);
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
