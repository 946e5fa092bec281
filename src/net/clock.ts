import { performance } from 'node:perf_hooks';

/** Something that was scheduled; hand it back to `Clock.cancel`. */
export type Timer = object;

/** Time as the agent sees it. Injected, so that timers are tested without sleeping. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since some moment, never set back: for durations. */
  uptime(): number;
  /** Calls `callback` once after `delayMs`. A pending timer does not keep the process alive. */
  schedule(callback: () => void, delayMs: number): Timer;
  cancel(timer: Timer): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  uptime: () => performance.now(),
  schedule: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout),
};
