import type { Clock } from '../net/clock.ts';

/** Resolves after `delayMs`, or as soon as `signal` aborts. Leaves no timer behind. */
export function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      clock.cancel(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.schedule(finish, delayMs);
    signal.addEventListener('abort', finish, { once: true });
  });
}
