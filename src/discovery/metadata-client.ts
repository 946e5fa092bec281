import type { Agent } from 'node:http';
import type { Clock } from '../net/clock.ts';
import { delay } from './delay.ts';
import { DiscoveryError, quoted } from './discovery-error.ts';
import { exchange, type MetadataAnswer, type MetadataRequest } from './metadata-exchange.ts';

export interface MetadataClientOptions {
  /** `http://169.254.169.254`; a path in it is kept. */
  readonly baseUrl: string;
  readonly clock: Clock;
  /** Ends everything under way when it aborts. */
  readonly signal: AbortSignal;
  /** Until the TCP connection stands; 1000 by default. */
  readonly connectTimeoutMs?: number;
  /** A whole call with all its retries; 5000 by default. */
  readonly callTimeoutMs?: number;
  /** 4 by default. */
  readonly maxAttempts?: number;
  /** 65536 by default: far above what a metadata service tells, far below what would hurt. */
  readonly maxAnswerBytes?: number;
  /** Waited for before each attempt, where the service bounds how often it is asked. */
  readonly turn?: (signal: AbortSignal) => Promise<void>;
  /** Only tests bring their own. */
  readonly agent?: Agent;
}

const FIRST_BACKOFF_MS = 100;
/** A link-local service with one client: enough to be quick, too few to be throttled. */
const MAX_CONCURRENT = 8;

/**
 * Asks a cloud's metadata service over plain `node:http`. It never goes through a proxy whatever the
 * environment says (the address is link-local and the answers are for this machine alone) and follows no
 * redirects.
 */
export class MetadataClient {
  readonly #options: MetadataClientOptions;
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #callTimeoutMs: number;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws `discovery.endpoint` where the base URL is not a usable one. */
  constructor(options: MetadataClientOptions) {
    this.#options = options;
    this.#base = endpointUrl(options.baseUrl);
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
    this.#callTimeoutMs = options.callTimeoutMs ?? 5000;
    this.#agent = options.agent ?? new (loadHttp().Agent)({ keepAlive: true, maxSockets: MAX_CONCURRENT });
  }

  /** The body at `path`, or undefined where there is none (404 is an ordinary answer). */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<string | undefined> {
    const answer = await this.request({ method: 'GET', path, headers });
    if (answer.status === 200) return answer.body;
    if (answer.status === 404) return undefined;
    throw this.unexpected({ method: 'GET', path }, answer);
  }

  /**
   * Sends a request until something comes that is worth returning: 503, 429, other 5xx, a broken connection
   * and a refused one are tried again while the call's time lasts. Any other status is the caller's to judge.
   */
  async request(request: MetadataRequest): Promise<MetadataAnswer> {
    // The clock's timers keep no process alive; at boot nothing else does between two attempts.
    const alive = setInterval(() => {}, this.#callTimeoutMs);
    // The call's time begins when it has its place: how many others stand before it says nothing about the service.
    if (this.#running < MAX_CONCURRENT) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#attempts(request);
    } finally {
      clearInterval(alive);
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }

  async #attempts(request: MetadataRequest): Promise<MetadataAnswer> {
    const { clock, maxAttempts = 4 } = this.#options;
    const signal = this.#signal;
    const deadline = clock.now() + this.#callTimeoutMs;
    const url = this.url(request.path);
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= maxAttempts;
      let failure: DiscoveryError;
      let waitMs = FIRST_BACKOFF_MS * 2 ** (attempt - 1);
      await this.#options.turn?.(signal);
      try {
        const answer = await exchange(url, request, {
          clock,
          signal,
          agent: this.#agent,
          connectTimeoutMs: this.#options.connectTimeoutMs ?? 1000,
          timeoutMs: Math.max(1, deadline - clock.now()),
          maxAnswerBytes: this.#options.maxAnswerBytes ?? 65_536,
        });
        if (answer.status < 500 && answer.status !== 429) return answer;
        failure = this.unexpected(request, answer);
        waitMs = retryAfterMs(answer.headers['retry-after'], clock.now()) ?? waitMs;
      } catch (error) {
        if (!(error instanceof DiscoveryError) || error.code !== 'discovery.metadata-unreachable')
          throw error;
        failure = error;
      }
      if (last || clock.now() + waitMs >= deadline) throw failure;
      await delay(clock, waitMs, signal);
    }
  }

  url(path: string): string {
    return `${this.#base.origin}${this.#base.pathname.replace(/\/+$/, '')}${path}`;
  }

  /** What to throw when an answer is not among the expected ones. The body is foreign and stays out of it. */
  unexpected(request: Pick<MetadataRequest, 'method' | 'path'>, answer: MetadataAnswer): DiscoveryError {
    const asked = `${request.method} ${this.url(request.path)}`;
    const { status } = answer;
    if (status === 401) {
      return new DiscoveryError(
        'discovery.metadata-unauthorized',
        `${asked}: expected 200 or 404, came 401 although the session token is fresh. Check that nothing between this machine and the metadata service drops request headers.`,
      );
    }
    if (status === 403) {
      return new DiscoveryError(
        'discovery.metadata-forbidden',
        `${asked}: expected 200 or 404, came 403: access to the metadata service is switched off for this machine. Switch it on in the machine's metadata options.`,
      );
    }
    if (status === 429 || status === 503) {
      const after = answer.headers['retry-after'];
      const wish = after === undefined ? '' : ` with Retry-After ${JSON.stringify(after.slice(0, 40))}`;
      return new DiscoveryError(
        'discovery.metadata-throttled',
        `${asked}: expected 200 or 404, came ${status}${wish}, again and again. The metadata service is overloaded or throttles this machine: see whether another program polls it, then start again.`,
      );
    }
    return new DiscoveryError(
      'discovery.metadata-failed',
      `${asked}: expected 200 or 404, came ${status}. Check that a metadata service and nothing else answers at ${this.#base.origin}.`,
    );
  }

  /** Ends what is still under way and lets go of the kept connections. */
  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }
}

function endpointUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' && url.username === '' && url.search === '' && url.hash === '') return url;
  throw new DiscoveryError(
    'discovery.endpoint',
    `The metadata endpoint must be a plain URL such as http://169.254.169.254, not ${quoted(text.replace(/\/\/[^/]*@/, '//…@'))}.`,
  );
}

/** RFC 9110 10.2.3: seconds or a date. Undefined where it is neither. */
function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Loaded by the first client: it costs 40 ms and 8 MB, and a machine without a cloud asks nobody. */
function loadHttp(): typeof import('node:http') {
  return process.getBuiltinModule('node:http');
}
