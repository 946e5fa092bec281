import type { Clock, Timer } from '../net/clock.ts';

/** What can fall silent. */
export interface Listened {
  /** Grows with every RTP packet from 0; undefined while nothing is expected. */
  heard(): number | undefined;
  /** Silence is usual at the moment, such as on hold: the longer limit holds. */
  readonly quiet: boolean;
  silent(): void;
}

/** 0 is without end. */
export interface SilenceLimits {
  /** Before the first packet. */
  readonly initialMs: number;
  readonly runningMs: number;
  /** While silence is usual. */
  readonly heldMs: number;
}

interface Entry {
  heard: number | undefined;
  /** By the watch's own clock: see `#now`. */
  sinceMs: number;
  told: boolean;
}

/**
 * Tells sessions that nothing was heard for too long. Reads counters now and then instead of being told of
 * packets: one timer for all, and only while there is something to watch. Late by a twelfth at most.
 */
export class SilenceWatch {
  readonly #clock: Clock;
  #limits!: SilenceLimits;
  #everyMs!: number;
  readonly #beganAt: number;
  readonly #entries = new Map<Listened, Entry>();
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: SilenceLimits) {
    this.#clock = clock;
    this.#beganAt = clock.now();
    this.setLimits(limits);
  }

  /** Others from now on, also for those that are watched already. */
  setLimits(limits: SilenceLimits): void {
    this.#limits = limits;
    const { initialMs, runningMs, heldMs } = limits;
    const shortest = Math.min(...[initialMs, runningMs, heldMs].filter((limit) => limit > 0));
    this.#everyMs = Math.min(5000, Math.max(50, shortest / 12));
  }

  /** Milliseconds since the watch began: a small number is no object of its own in memory. */
  get #now(): number {
    return Math.round(this.#clock.now() - this.#beganAt);
  }

  add(session: Listened): void {
    this.#entries.set(session, { heard: undefined, sinceMs: this.#now, told: false });
    this.#timer ??= this.#clock.schedule(() => this.#look(), this.#everyMs);
  }

  /** Something was said about the session: its silence is counted from now. */
  touch(session: Listened): void {
    const entry = this.#entries.get(session);
    if (!entry) return;
    entry.sinceMs = this.#now;
    entry.told = false;
  }

  remove(session: Listened): void {
    this.#entries.delete(session);
    if (this.#entries.size > 0 || !this.#timer) return;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = this.#clock.schedule(() => this.#look(), this.#everyMs);
    const now = this.#now;
    for (const [session, entry] of this.#entries) {
      const heard = session.heard();
      if (heard === undefined || heard !== entry.heard) {
        entry.heard = heard;
        entry.sinceMs = now;
        entry.told = false;
        continue;
      }
      const { initialMs, runningMs, heldMs } = this.#limits;
      const limit = session.quiet ? heldMs : heard === 0 ? initialMs : runningMs;
      if (limit === 0 || entry.told || now - entry.sinceMs < limit) continue;
      entry.told = true;
      session.silent();
    }
  }
}
