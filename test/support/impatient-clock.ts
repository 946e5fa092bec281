import type { Clock, Timer } from '../../src/net/clock.ts';

/**
 * A clock on which waits up to `patienceMs` are over at the next turn of the event loop, and longer ones (the
 * time-outs of something that is under way) never are. For what waits between real network calls.
 */
export class ImpatientClock implements Clock {
  /** Every short wait that was asked for, in milliseconds. */
  readonly waits: number[] = [];
  readonly #patienceMs: number;
  #now = 1_700_000_000_000;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  now(): number {
    return this.#now;
  }

  uptime(): number {
    return this.#now;
  }

  schedule(callback: () => void, delayMs: number): Timer {
    if (delayMs > this.#patienceMs) return {};
    this.waits.push(delayMs);
    return setImmediate(() => {
      this.#now += delayMs;
      callback();
    });
  }

  cancel(timer: Timer): void {
    clearImmediate(timer as NodeJS.Immediate);
  }
}
