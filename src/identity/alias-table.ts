import { type Endpoint, familyOf, normalizeHost } from '../net/address.ts';
import { IdentityError } from './identity-error.ts';
import { isHostName, splitHostPort } from './listener-notation.ts';

export interface AliasOptions {
  /** `host` (every port) or `host:port` that mean this agent too. */
  readonly aliases?: readonly string[];
  /** Domains that this agent serves, on every port; `.example.com` or `*.example.com` for all names below it. */
  readonly domains?: readonly string[];
  /** How many learned identities are kept; 4096 by default. */
  readonly maxLearned?: number;
}

interface HostEntry {
  anyPort: boolean;
  /** Bound, advertised and configured ports: replaced by `setOwn` alone. */
  readonly own: Set<number>;
  readonly learned: Set<number>;
}

const MAX_RESOLVED = 4096;
/** No host is longer: a name has 253 characters (RFC 1035 2.3.4), an IPv6 reference fewer. */
const MAX_HOST_LENGTH = 255;

/**
 * Everything under which this agent is or was known. Asked several times for each message, so what was asked
 * before is answered by one Map look-up, whatever the spelling.
 */
export class AliasTable {
  readonly #byHost = new Map<string, HostEntry>();
  /** `.example.com` of the domains whose subdomains are ours. */
  #suffixes: string[] = [];
  /** Insertion order is age: `host port` of what was advertised at some time. */
  readonly #learned = new Map<string, Endpoint>();
  readonly #maxLearned: number;
  /** Spellings as they were asked for, null for strangers. */
  readonly #resolved = new Map<string, HostEntry | null>();
  /** The ports of aliases, which `setOwn` must not take away. */
  #configured: ReadonlyMap<string, ReadonlySet<number>> = new Map();
  #own: readonly Endpoint[] = [];

  /** Throws `identity.alias-syntax`. */
  constructor({ aliases = [], domains = [], maxLearned = 4096 }: AliasOptions = {}) {
    this.#maxLearned = maxLearned;
    this.configure({ aliases, domains });
  }

  /** Replaces the aliases and domains. Throws `identity.alias-syntax` before anything is changed. */
  configure({ aliases = [], domains = [] }: Pick<AliasOptions, 'aliases' | 'domains'>): void {
    const hosts = [...aliases.map(readAlias), ...domains.map(readDomain)];
    const own = this.#own;
    const learned = [...this.#learned.values()];
    this.#byHost.clear();
    this.#learned.clear();
    this.#resolved.clear();
    this.#suffixes = hosts.flatMap(({ host, below }) => (below ? [`.${host}`] : []));
    for (const { host, port, below } of hosts) {
      if (below) continue;
      const entry = this.#entry(host);
      if (port === undefined) entry.anyPort = true;
      else entry.own.add(port);
    }
    this.#configured = new Map([...this.#byHost].map(([host, entry]) => [host, new Set(entry.own)]));
    for (const { address, port } of own) this.#entry(address).own.add(port);
    for (const { address, port } of learned) this.learn(address, port);
  }

  /** Replaces the bound and advertised endpoints. Those that were ours until now are known as learned ones. */
  setOwn(endpoints: readonly Endpoint[]): void {
    const before = this.#own;
    this.#own = endpoints.map(({ address, port }) => ({ address: normalizeHost(address), port }));
    for (const { address, port } of before) {
      const entry = this.#byHost.get(address);
      if (!this.#configured.get(address)?.has(port)) entry?.own.delete(port);
    }
    for (const { address, port } of this.#own) this.#entry(address).own.add(port);
    for (const { address, port } of before) this.learn(address, port);
    this.#resolved.clear();
  }

  /**
   * To be called with what is about to be advertised. It is known from then on for as long as the process lives,
   * or until so many others were learned that the oldest has to go.
   */
  learn(host: string, port: number): void {
    const address = copyOf(normalizeHost(host));
    const known = this.#byHost.get(address);
    if (known ? known.anyPort || known.own.has(port) : this.#isBelowDomain(address)) return;
    const key = `${address} ${port}`;
    this.#learned.delete(key);
    this.#learned.set(key, { address, port });
    if (!known) this.#resolved.clear();
    this.#entry(address).learned.add(port);
    if (this.#learned.size > this.#maxLearned) this.#forgetOldest();
  }

  /**
   * Whether `host` means this agent: names in any case, addresses in any spelling, IPv6 with or without brackets.
   * A port that is absent or 0 is any port.
   */
  isSelf(host: string, port: number | undefined): boolean {
    let entry = this.#resolved.get(host);
    if (entry === undefined) entry = this.#resolve(host);
    if (entry === null) return false;
    return !port || entry.anyPort || entry.own.has(port) || entry.learned.has(port);
  }

  #resolve(host: string): HostEntry | null {
    if (host.length === 0 || host.length > MAX_HOST_LENGTH) return null;
    const normal = normalizeHost(host);
    const entry = this.#byHost.get(normal) ?? (this.#isBelowDomain(normal) ? ANY_PORT : null);
    if (this.#resolved.size >= MAX_RESOLVED) {
      const oldest = this.#resolved.keys().next();
      if (!oldest.done) this.#resolved.delete(oldest.value);
    }
    this.#resolved.set(copyOf(host), entry);
    return entry;
  }

  /** With the dot: `badexample.com` is not below `example.com`. */
  #isBelowDomain(host: string): boolean {
    return this.#suffixes.some((suffix) => host.length > suffix.length && host.endsWith(suffix));
  }

  #entry(host: string): HostEntry {
    let entry = this.#byHost.get(host);
    if (!entry) {
      entry = { anyPort: this.#isBelowDomain(host), own: new Set(), learned: new Set() };
      this.#byHost.set(host, entry);
    }
    return entry;
  }

  #forgetOldest(): void {
    const [oldest] = this.#learned;
    if (!oldest) return;
    const [key, { address, port }] = oldest;
    this.#learned.delete(key);
    const entry = this.#byHost.get(address);
    entry?.learned.delete(port);
    if (entry && !entry.anyPort && entry.own.size === 0 && entry.learned.size === 0) {
      this.#byHost.delete(address);
      this.#resolved.clear();
    }
  }
}

/** A host that is ours: on one port or on every port, or all names below it. */
interface ConfiguredHost {
  readonly host: string;
  readonly port: number | undefined;
  readonly below: boolean;
}

function readAlias(alias: string): ConfiguredHost {
  const split = familyOf(alias) === 'ipv6' ? { host: alias, port: undefined } : splitHostPort(alias);
  if (!split || !(familyOf(split.host) || isHostName(split.host))) throw wrongAlias('an alias', alias);
  return { host: normalizeHost(split.host), port: split.port, below: false };
}

function readDomain(domain: string): ConfiguredHost {
  const suffix = /^\*?(\..+)$/.exec(domain)?.[1];
  const name = suffix?.slice(1) ?? domain;
  if (!isHostName(name)) throw wrongAlias('a domain', domain);
  return { host: normalizeHost(name), port: undefined, below: suffix !== undefined };
}

const ANY_PORT: HostEntry = { anyPort: true, own: new Set(), learned: new Set() };

/**
 * A string of its own. What was cut from a message is a window on the whole message to V8, and a table of
 * such windows would keep every message alive.
 */
export function copyOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

function wrongAlias(what: string, came: string): IdentityError {
  return new IdentityError(
    'identity.alias-syntax',
    `Expected ${what}, came ${JSON.stringify(came.slice(0, 80))}. Write a host such as sip.example.com, 203.0.113.5:5060 or, for all names below a domain, *.example.com.`,
  );
}
