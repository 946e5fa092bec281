import type { Clock, Timer } from '../../src/net/clock.ts';

interface Entry {
  readonly delayMs: number;
  readonly callback: () => void;
  readonly immediate?: NodeJS.Immediate;
}

/**
 * A clock for what waits between real network calls: waits that `isShort` says yes to are over at the next turn of
 * the event loop, others when the test says so, and the time-outs of what is under way never.
 */
export class SelectiveClock implements Clock {
  /** Every wait that was over at once, in milliseconds. */
  readonly waits: number[] = [];
  readonly #isShort: (delayMs: number) => boolean;
  readonly #entries = new Set<Entry>();
  readonly #watchers = new Set<() => void>();
  #now = 1_700_000_000_000;

  constructor(isShort: (delayMs: number) => boolean) {
    this.#isShort = isShort;
  }

  now(): number {
    return this.#now;
  }

  uptime(): number {
    return this.#now;
  }

  schedule(callback: () => void, delayMs: number): Timer {
    const short = this.#isShort(delayMs);
    const entry: Entry = {
      delayMs,
      callback,
      ...(short && { immediate: setImmediate(() => this.#run(entry)) }),
    };
    if (short) this.waits.push(delayMs);
    this.#entries.add(entry);
    for (const look of [...this.#watchers]) look();
    return entry;
  }

  cancel(timer: Timer): void {
    const entry = timer as Entry;
    this.#entries.delete(entry);
    clearImmediate(entry.immediate);
  }

  /** Lets one wait that `matches` be over, as soon as somebody waits so. */
  async pass(matches: (delayMs: number) => boolean): Promise<void> {
    const find = () => [...this.#entries].find((each) => !each.immediate && matches(each.delayMs));
    while (!find()) await new Promise<void>((resolve) => this.#watch(resolve));
    this.#run(find()!);
  }

  #watch(resolve: () => void): void {
    const look = (): void => {
      this.#watchers.delete(look);
      resolve();
    };
    this.#watchers.add(look);
  }

  #run(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#now += entry.delayMs;
    entry.callback();
  }
}
