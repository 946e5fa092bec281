/** What `performance.now` of this thread counts from, by a clock that all threads of the process share. */
const threadOrigin = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds, never set back, the same in every thread of this process. */
export function monotonicMs(): number {
  return threadOrigin + performance.now();
}

/** The same for a moment that a thread has as `performance.timeOrigin + performance.now()`. */
export function monotonicOf(timeMs: number): number {
  return timeMs - performance.timeOrigin + threadOrigin;
}
