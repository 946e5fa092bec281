import type { Clock, Timer } from '../../src/net/clock.ts';

interface Entry {
  at: number;
  order: number;
  callback: () => void;
}

/** A clock that stands still until `advance` is called. */
export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  #order = 0;
  readonly #entries = new Set<Entry>();

  now(): number {
    return this.#now;
  }

  uptime(): number {
    return this.#now;
  }

  schedule(callback: () => void, delayMs: number): Timer {
    const entry: Entry = { at: this.#now + delayMs, order: this.#order++, callback };
    this.#entries.add(entry);
    return entry;
  }

  cancel(timer: Timer): void {
    this.#entries.delete(timer as Entry);
  }

  /** How many timers are pending: zero at the end of a test that leaks none. */
  get pending(): number {
    return this.#entries.size;
  }

  /** Moves time on, firing what falls due in the order of its due time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: Entry | undefined;
      for (const entry of this.#entries) {
        if (entry.at > end) continue;
        if (!next || entry.at < next.at || (entry.at === next.at && entry.order < next.order)) next = entry;
      }
      if (!next) break;
      this.#entries.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }
}
