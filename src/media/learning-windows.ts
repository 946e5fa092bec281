import type { Clock, Timer } from '../net/clock.ts';

/** What learns where its packets come from, until its window is closed. */
export interface Learner {
  seal(): void;
}

/** Learning windows are all of the same length: they end in the order in which they began, by one timer. */
export class LearningWindows {
  readonly #clock: Clock;
  readonly #lengthMs: number;
  /** When the window of each ends, the next one first. */
  readonly #ends = new Map<Learner, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock, lengthMs: number) {
    this.#clock = clock;
    this.#lengthMs = lengthMs;
  }

  /** Opens a window, or begins one anew. */
  open(learner: Learner): void {
    this.#ends.delete(learner);
    this.#ends.set(learner, Math.round(this.#clock.uptime() + this.#lengthMs));
    this.#timer ??= this.#clock.schedule(() => this.#look(), this.#lengthMs);
  }

  /** The learner is gone: there is nothing to seal any more. */
  forget(learner: Learner): void {
    this.#ends.delete(learner);
    if (this.#ends.size > 0 || !this.#timer) return;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.uptime();
    for (const [learner, end] of this.#ends) {
      if (end > now) {
        this.#timer = this.#clock.schedule(() => this.#look(), Math.max(1, end - now));
        return;
      }
      this.#ends.delete(learner);
      learner.seal();
    }
  }
}
