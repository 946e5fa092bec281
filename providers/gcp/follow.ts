import { delay } from '../../src/discovery/delay.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { openHangingMetadata } from './metadata.ts';

/** "Wait five seconds before you retry": what fails is asked again, and not as fast as it fails. */
const AFTER_FAILURE_MS = 5000;
/** A server that answers at once and for ever is asked no faster than this. */
const AT_LEAST_MS = 500;

export interface FollowEvents {
  /** Called once when asking starts to fail, and once when it works again. */
  readonly failed?: (error: unknown) => void;
  readonly recovered?: () => void;
}

/**
 * Hangs on an item of the metadata server until `signal` aborts, and calls `changed` with each value that differs
 * from the one before, undefined where there is no such item; the first one counts. An ETag that comes back equal
 * means that the time was up.
 */
export async function follow(
  context: DiscoveryContext,
  path: string,
  changed: (body: string | undefined) => void,
  signal: AbortSignal,
  { failed, recovered }: FollowEvents = {},
): Promise<void> {
  const { clock } = context;
  const metadata = openHangingMetadata(context, signal);
  let etag: string | undefined;
  let last: { readonly body: string | undefined } | undefined;
  let failing = false;
  try {
    while (!signal.aborted) {
      const began = clock.now();
      try {
        const answer = await metadata.held(path, etag);
        if (failing) recovered?.();
        failing = false;
        etag = answer.etag;
        if (!last || last.body !== answer.body) {
          last = { body: answer.body };
          changed(answer.body);
        }
        // An item that does not exist is not held, nor is one without an ETag.
        const pause = answer.body === undefined || etag === undefined ? AFTER_FAILURE_MS : AT_LEAST_MS;
        await delay(clock, Math.max(0, began + pause - clock.now()), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) failed?.(error);
        failing = true;
        // The next question is answered at once, and not only when something changes.
        etag = undefined;
        await delay(clock, AFTER_FAILURE_MS, signal);
      }
    }
  } finally {
    metadata.close();
  }
}
