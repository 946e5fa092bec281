import { Resolver } from 'node:dns/promises';
import type { Family } from '../../net/address.ts';
import type { Clock } from '../../net/clock.ts';
import { awaitedAnswers } from './awaited-answers.ts';
import { type DnsAnswer, DnsCache } from './dns-cache.ts';
import { ResolveError } from './resolve-error.ts';

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface NaptrRecord {
  readonly flags: string;
  readonly service: string;
  readonly replacement: string;
  readonly order: number;
  readonly preference: number;
}

export interface DnsOptions {
  readonly clock: Clock;
  /** `address` or `address:port`; the system's servers where absent. */
  readonly servers?: readonly string[];
  /** How long the first attempt waits for a server; later ones wait longer. */
  readonly timeoutMs?: number;
  readonly tries?: number;
}

/** Node does not tell the TTL of these, so they are asked for again each minute. */
const UNTOLD_TTL_MS = 60_000;
/** The server knows of no such name or record, or the name is none. */
const NONE = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

/** The four questions of RFC 3263, through a cache. An empty answer means that there is no such record. */
export class DnsClient {
  readonly #resolver: Resolver;
  readonly #cache: DnsCache;

  constructor(options: DnsOptions) {
    this.#resolver = new Resolver({ timeout: options.timeoutMs ?? 2000, tries: options.tries ?? 2 });
    if (options.servers) this.#resolver.setServers(options.servers);
    this.#cache = new DnsCache(options.clock);
  }

  naptr(name: string): Promise<readonly NaptrRecord[]> {
    return this.#ask('NAPTR', name, async () => ({
      records: await this.#resolver.resolveNaptr(name),
      ttlMs: UNTOLD_TTL_MS,
    }));
  }

  srv(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask('SRV', name, async () => ({
      records: await this.#resolver.resolveSrv(name),
      ttlMs: UNTOLD_TTL_MS,
    }));
  }

  addresses(family: Family, name: string): Promise<readonly string[]> {
    return this.#ask(family === 'ipv4' ? 'A' : 'AAAA', name, async () => {
      const records =
        family === 'ipv4'
          ? await this.#resolver.resolve4(name, { ttl: true })
          : await this.#resolver.resolve6(name, { ttl: true });
      return {
        records: records.map(({ address }) => address),
        ttlMs: 1000 * records.reduce((least, { ttl }) => Math.min(least, ttl), Number.POSITIVE_INFINITY),
      };
    });
  }

  /** Gives up what is being asked. */
  close(): void {
    this.#resolver.cancel();
  }

  #ask<T>(type: string, name: string, ask: () => Promise<DnsAnswer<T>>): Promise<readonly T[]> {
    return this.#cache.get(`${type} ${name}`, async () => {
      awaitedAnswers.count++;
      try {
        return await ask();
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
        if (NONE.has(code)) return { records: [], ttlMs: 0 };
        throw new ResolveError('RESOLVE_DNS', `DNS gave no answer for ${type} ${name} (${code}).`, {
          cause: error,
        });
      } finally {
        awaitedAnswers.count--;
      }
    });
  }
}
