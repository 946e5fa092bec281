import type { Clock, Timer } from './clock.ts';

/** Writes one log line; `suppressed` is how many others of its key were left out since the line before. */
export type WriteLine = (suppressed: number) => void;

interface Window {
  readonly opened: number;
  /** How many lines came after the first, and the last of them. */
  waiting: number;
  last: WriteLine | undefined;
  timer: Timer | undefined;
}

/** All keys beyond the bound share this one. */
const overflow = Symbol('overflow');

/**
 * For log lines that the network can trigger: at most one line for each key in `intervalMs`. The first is
 * written at once; of those that follow, the last is written when the interval ends, with the number of
 * those left out, so that a burst is never silent about its size.
 */
export class LogLimit {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #maxKeys: number;
  /** In the order in which they opened, so that the first is the first to end. */
  readonly #windows = new Map<string | typeof overflow, Window>();

  constructor(clock: Clock, intervalMs = 1000, maxKeys = 256) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#maxKeys = maxKeys;
  }

  /**
   * Calls `write` now, later or not at all. Keys name the kind of event (`udp.malformed`), perhaps with its
   * source; of many keys at once, those above the bound are limited together.
   */
  line(key: string, write: WriteLine): void {
    this.#forgetEnded();
    const slot = this.#windows.has(key) || this.#windows.size < this.#maxKeys ? key : overflow;
    const window = this.#windows.get(slot);
    if (!window) {
      this.#open(slot);
      write(0);
      return;
    }
    window.waiting++;
    window.last = write;
    window.timer ??= this.#clock.schedule(() => this.#end(slot, window), this.#remainingMs(window));
  }

  /** Writes what still waits and forgets all keys. */
  close(): void {
    for (const window of this.#windows.values()) {
      if (window.timer) this.#clock.cancel(window.timer);
      window.last?.(window.waiting - 1);
    }
    this.#windows.clear();
  }

  /** Never more than the interval: a clock that was set back must not silence the log for the difference. */
  #remainingMs(window: Window): number {
    const remainingMs = window.opened + this.#intervalMs - this.#clock.now();
    return Math.min(Math.max(0, remainingMs), this.#intervalMs);
  }

  #open(slot: string | typeof overflow): void {
    this.#windows.set(slot, { opened: this.#clock.now(), waiting: 0, last: undefined, timer: undefined });
  }

  /** The line that ends a window opens the next one: there is still only one line in each interval. */
  #end(slot: string | typeof overflow, { last, waiting }: Window): void {
    this.#windows.delete(slot);
    this.#open(slot);
    last?.(waiting - 1);
  }

  #forgetEnded(): void {
    const ended = this.#clock.now() - this.#intervalMs;
    for (const [slot, window] of this.#windows) {
      if (window.opened > ended) break;
      // A window with lines waiting is ended by its timer.
      if (window.waiting === 0) this.#windows.delete(slot);
    }
  }
}
