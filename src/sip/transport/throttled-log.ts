import type { Clock } from '../../net/clock.ts';
import type { TransportLog } from './transport.ts';

const QUIET_MS = 1000;

/** Warns at most once a second and says how often it kept silent since: what strangers send cannot fill a disk. */
export class ThrottledLog {
  readonly #log: TransportLog;
  readonly #clock: Clock;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: TransportLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  warn(details: object, text: string): void {
    const now = this.#clock.now();
    // A clock that was set back must not silence the log for the difference.
    if (now < this.#quietUntil && this.#quietUntil - now <= QUIET_MS) {
      this.#suppressed++;
      return;
    }
    this.#quietUntil = now + QUIET_MS;
    this.#log.warn(this.#suppressed > 0 ? { ...details, suppressed: this.#suppressed } : details, text);
    this.#suppressed = 0;
  }
}
