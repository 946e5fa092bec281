import assert from 'node:assert/strict';
import { DISCOVERY_LIMIT_MS } from '../../src/discovery/in-time.ts';
import type { Timer } from '../../src/net/clock.ts';
import { ManualClock } from './manual-clock.ts';

/**
 * For what asks real services again and again: the waits between two rounds are told from time-outs by their length,
 * and pass by hand, one by one.
 */
export class PollingClock extends ManualClock {
  /** The wait between two rounds that was asked for last. */
  lastWaitMs = 0;
  readonly #shortestMs: number;
  readonly #timeouts: readonly number[];
  #waits = 0;
  #seen = 0;

  /** `timeouts` are durations that are none, though they are long. */
  constructor(
    shortestMs: number,
    timeouts: readonly number[] = [1000, 5000, 10_000, 20_000, DISCOVERY_LIMIT_MS],
  ) {
    super();
    this.#shortestMs = shortestMs;
    this.#timeouts = timeouts;
  }

  override schedule(callback: () => void, delayMs: number): Timer {
    if (delayMs >= this.#shortestMs && !this.#timeouts.includes(delayMs)) {
      this.lastWaitMs = delayMs;
      this.#waits++;
    }
    return super.schedule(callback, delayMs);
  }

  /** Resolves when a wait begins that was not awaited before: then a round is over. */
  async nextWait(): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (this.#waits === this.#seen) {
      assert.ok(performance.now() < deadline, 'no round came to its end');
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#seen = this.#waits;
  }

  /** Lets the wait pass and resolves when the round after it is over. */
  async passWait(): Promise<void> {
    this.advance(this.lastWaitMs);
    await this.nextWait();
  }
}
