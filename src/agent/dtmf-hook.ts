import type { DiscoveryLog } from '../discovery/provider.ts';
import type { Clock } from '../net/clock.ts';
import { LogLimit } from '../net/log-limit.ts';

type HookLog = Pick<DiscoveryLog, 'warn'>;

/** What waits while the hook is slow; more is dropped, the oldest stay. */
const maxWaiting = 1000;
const timeoutMs = 5000;

/**
 * Tells a web server of each key, one after the other, as JSON by POST. Nobody waits for it: what it does not take
 * in time, or refuses, is dropped and counted. Redirects are not followed.
 */
export class DtmfHook {
  readonly url: string;
  readonly #log: HookLog;
  readonly #limit: LogLimit;
  readonly #waiting: string[] = [];
  readonly #stop = new AbortController();
  #working: Promise<void> | undefined;
  #dropped = 0;

  constructor(url: string, clock: Clock, log: HookLog) {
    this.url = url;
    this.#log = log;
    this.#limit = new LogLimit(clock);
  }

  tell(event: object): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#failed(new Error(`${maxWaiting} keys wait already`));
      return;
    }
    this.#waiting.push(JSON.stringify(event));
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** What waits is given up. */
  async close(): Promise<void> {
    this.#waiting.length = 0;
    this.#stop.abort();
    await this.#working;
    this.#limit.close();
  }

  async #work(): Promise<void> {
    for (let body = this.#waiting.shift(); body !== undefined; body = this.#waiting.shift()) {
      try {
        const response = await fetch(this.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          redirect: 'manual',
          signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)]),
        });
        await response.body?.cancel();
        if (!response.ok) this.#failed(new Error(`it answered ${response.status}`));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#failed(error);
      }
    }
  }

  #failed(error: unknown): void {
    this.#dropped++;
    this.#limit.line('dtmf.hook', (suppressed) =>
      this.#log.warn(
        { err: error, dropped: this.#dropped, suppressed },
        'the DTMF hook was not told of a key',
      ),
    );
  }
}
