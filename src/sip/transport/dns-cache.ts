import type { Clock } from '../../net/clock.ts';
import { ResolveError } from './resolve-error.ts';

/** The records of one question, and how long they hold. Empty where the name has none. */
export interface DnsAnswer<T> {
  readonly records: readonly T[];
  readonly ttlMs: number;
}

const MAX_ENTRIES = 4096;
const MAX_PENDING = 512;
const MAX_TTL_MS = 3_600_000;
/** "There is none" and "the server failed" hold for this long: a name that is asked for in each call costs one question. */
const NEGATIVE_TTL_MS = 5_000;

interface Entry {
  readonly answer: Promise<readonly unknown[]>;
  /** Undefined while the question is open. */
  expiresAt: number | undefined;
}

/** Remembers answers for their TTL, failures for a few seconds, and asks each question only once at a time. */
export class DnsCache {
  readonly #clock: Clock;
  /** In the order of asking: the oldest goes first. */
  readonly #entries = new Map<string, Entry>();
  #pending = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The records for `question`, from memory or by `ask`. Rejects as `ask` does. */
  get<T>(question: string, ask: () => Promise<DnsAnswer<T>>): Promise<readonly T[]> {
    const known = this.#entries.get(question);
    if (known && (known.expiresAt === undefined || this.#clock.now() < known.expiresAt)) {
      return known.answer as Promise<readonly T[]>;
    }
    this.#entries.delete(question);
    if (this.#pending >= MAX_PENDING) {
      return Promise.reject(
        new ResolveError('RESOLVE_BUSY', `${MAX_PENDING} questions to DNS are open: the next is not asked.`),
      );
    }
    const entry: Entry = {
      answer: this.#ask(ask, (ttlMs) => this.#expire(entry, ttlMs)),
      expiresAt: undefined,
    };
    if (this.#entries.size >= MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.set(question, entry);
    return entry.answer as Promise<readonly T[]>;
  }

  #expire(entry: Entry, ttlMs: number): void {
    entry.expiresAt = this.#clock.now() + ttlMs;
  }

  async #ask<T>(ask: () => Promise<DnsAnswer<T>>, expireIn: (ttlMs: number) => void): Promise<readonly T[]> {
    this.#pending++;
    let ttlMs = NEGATIVE_TTL_MS;
    try {
      const answer = await ask();
      if (answer.records.length > 0) ttlMs = Math.min(answer.ttlMs, MAX_TTL_MS);
      return answer.records;
    } finally {
      this.#pending--;
      expireIn(ttlMs);
    }
  }
}
