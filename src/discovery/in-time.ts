import type { Clock } from '../net/clock.ts';
import { DiscoveryError } from './discovery-error.ts';

/**
 * One discovery with all its questions: above the minute that Azure's service may be away, below the two after which
 * the service manager gives a start up.
 */
export const DISCOVERY_LIMIT_MS = 100_000;

/**
 * What `ask` gives, or `discovery.timeout` after so long, or `discovery.aborted`: each single question has a limit of
 * its own, but a service that answers every one slowly, or code of others, would have us wait for ever.
 */
export async function inTime<Answer>(
  who: string,
  ask: (signal: AbortSignal) => Promise<Answer>,
  { clock, signal, limitMs = DISCOVERY_LIMIT_MS }: { clock: Clock; signal: AbortSignal; limitMs?: number },
): Promise<Answer> {
  const late = new AbortController();
  const ending = AbortSignal.any([signal, late.signal]);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(signal.aborted ? aborted(who) : timedOut(who, limitMs));
  ending.addEventListener('abort', end, { once: true });
  const timer = clock.schedule(() => late.abort(), limitMs);
  // The clock's timers keep no process alive, and at the start nothing else may.
  const alive = setInterval(() => {}, limitMs);
  try {
    return await Promise.race([ask(ending), ended]);
  } finally {
    clock.cancel(timer);
    clearInterval(alive);
    ending.removeEventListener('abort', end);
  }
}

function aborted(who: string): DiscoveryError {
  return new DiscoveryError('discovery.aborted', `${who}: given up because cloudsip is stopping.`);
}

function timedOut(who: string, limitMs: number): DiscoveryError {
  return new DiscoveryError(
    'discovery.timeout',
    `${who}: expected an answer within ${limitMs} ms, came none. Each single question may have been answered, but too slowly: run "cloudsip doctor" to see how fast the metadata service is.`,
  );
}
