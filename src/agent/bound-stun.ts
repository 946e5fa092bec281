import type { StunSighting } from '../discovery/ask-stun.ts';
import type { DiscoveryLog } from '../discovery/provider.ts';
import type { StunServer } from '../discovery/stun-server.ts';
import type { StunSocket } from '../discovery/stun-socket.ts';
import {
  filledTopology,
  heldVerdicts,
  type StunVerdicts,
  unknownAddresses,
} from '../discovery/stun-topology.ts';
import type { Topology } from '../discovery/topology.ts';
import { normalizeHost } from '../net/address.ts';
import type { Clock, Timer } from '../net/clock.ts';

export interface BoundStunOptions {
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  readonly signal: AbortSignal;
}

/** The socket of a listener. */
export interface BoundSocket {
  /** Unique, for as long as the listener is open. */
  readonly key: string;
  readonly socket: StunSocket;
  /** What it is to be called, where a person wrote that. */
  readonly written: string | undefined;
}

/**
 * Why there is something to look at: the time has come to ask `again`; the cloud has `news`; or neither, and only
 * sockets that nobody has asked from yet are asked from.
 */
export type StunOccasion = 'again' | 'news' | 'neither';

interface Question {
  readonly key: string;
  readonly address: string;
  readonly socket: StunSocket | undefined;
  readonly written: string | undefined;
  /** True where what is advertised hangs on the answer. */
  readonly decides: boolean;
}

/** A NAT changes without the cloud's metadata telling: then only asking again shows it. */
const recheckMs = 300_000;
/** While nobody answers; doubled each time up to the above. */
const retryMs = 30_000;

/**
 * Asks STUN servers what stands in front of those addresses of which the cloud says that it does not know
 * (`publicUnknown`), and of no other: from the sockets of the listeners themselves, since a gateway may treat each
 * port as it likes. A failure of STUN changes nothing that runs.
 */
export class BoundStun {
  readonly #options: BoundStunOptions;
  /** None where STUN is off. */
  #servers: readonly StunServer[] = [];
  readonly #sightings = new Map<string, StunSighting>();
  #verdicts: StunVerdicts = new Map();
  /** Whether somebody was asked in vain the last time; undefined before the first time. */
  #silent: boolean | undefined;
  #retryMs = retryMs;
  /** When to ask again, from now on; undefined where the timer runs as it should. */
  #waitMs: number | undefined;
  #timer: Timer | undefined;

  constructor(options: BoundStunOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#disarm(), { once: true });
  }

  /** Whom to ask from now on. What others saw decides until these have answered. */
  use(servers: readonly StunServer[]): void {
    if (JSON.stringify(servers) === JSON.stringify(this.#servers)) return;
    this.#servers = servers;
    this.#sightings.clear();
  }

  /** The topology with what STUN sees. Takes three seconds at most, and no time where there is nothing to ask. Rejects when the signal aborts. */
  async see(topology: Topology, sockets: readonly BoundSocket[], occasion: StunOccasion): Promise<Topology> {
    const servers = this.#servers;
    const unknown = unknownAddresses(topology);
    if (unknown.length === 0 || servers.length === 0) {
      this.#sightings.clear();
      this.#verdicts = new Map();
      this.#disarm();
      return filledTopology(topology, this.#verdicts, servers.length > 0);
    }
    const questions = unknown.flatMap((address) => questionsAbout(address, sockets));
    const keys = new Set(questions.map(({ key }) => key));
    for (const key of this.#sightings.keys()) if (!keys.has(key)) this.#sightings.delete(key);
    const due = occasion === 'neither' ? questions.filter(({ key }) => !this.#sightings.has(key)) : questions;
    // What decides nothing holds nobody up.
    const asks = occasion === 'again' || due.some(({ decides }) => decides);
    if (asks) await this.#ask(due);
    else if (due.length > 0) this.#waitMs = 0;
    const fresh = await this.#judge(questions);
    this.#verdicts = heldVerdicts(unknown, fresh, this.#verdicts);
    if (asks) this.#planNext([...fresh.values()].some(({ kind }) => kind === 'silent'));
    const shown = new Map(unknown.map((address) => [address, this.#verdicts.get(address) ?? aside]));
    return filledTopology(topology, shown, true);
  }

  /** To be called after each look, when all that hangs on it is done: `again` is called when it is time for another. */
  arm(again: () => void): void {
    const { clock, signal } = this.#options;
    if (this.#waitMs === undefined || signal.aborted) return;
    const waitMs = this.#waitMs * (0.9 + 0.2 * Math.random());
    this.#disarm();
    this.#timer = clock.schedule(again, waitMs);
  }

  async #ask(due: readonly Question[]): Promise<void> {
    const { clock, signal } = this.#options;
    const options = { servers: this.#servers, clock, signal };
    // Loaded by whoever has something to ask: most machines never do.
    const [{ askStun }, { askStunFromAnyPort }] = await Promise.all([
      import('../discovery/ask-stun.ts'),
      import('../discovery/ask-stun-from-any-port.ts'),
    ]);
    const sightings = await Promise.all(
      due.map(({ socket, address }) =>
        socket ? askStun(socket, options) : askStunFromAnyPort(address, options),
      ),
    );
    signal.throwIfAborted();
    for (const [index, { key }] of due.entries()) this.#sightings.set(key, sightings[index]!);
  }

  async #judge(questions: readonly Question[]): Promise<StunVerdicts> {
    if (this.#sightings.size === 0) return new Map();
    const { judgeSightings } = await import('../discovery/stun-verdict.ts');
    return judgeSightings(
      questions.flatMap(({ key, written }) => {
        const sighting = this.#sightings.get(key);
        return sighting ? [{ ...sighting, written }] : [];
      }),
      this.#servers.map(({ text }) => text),
    );
  }

  #planNext(silent: boolean): void {
    const { log } = this.#options;
    // The first time a note says it.
    if (this.#silent !== undefined && silent !== this.#silent) {
      if (silent) log.warn({}, 'STUN gives no answer; it is asked again');
      else log.info({}, 'STUN answers again');
    }
    this.#silent = silent;
    this.#waitMs = silent ? this.#retryMs : recheckMs;
    this.#retryMs = silent ? Math.min(this.#retryMs * 2, recheckMs) : retryMs;
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#waitMs = undefined;
  }
}

const aside = { kind: 'aside' } as const;

/** Where nothing listens, a socket is opened for the question: it shows whether others leave by the same gateway. */
function questionsAbout(address: string, sockets: readonly BoundSocket[]): Question[] {
  const host = normalizeHost(address);
  const bound = sockets.filter(({ socket }) => normalizeHost(socket.local.address) === host);
  if (bound.length === 0)
    return [
      { key: `${address} at any port`, address, socket: undefined, written: undefined, decides: false },
    ];
  return bound.map(({ key, socket, written }) => ({
    key,
    address,
    socket,
    written,
    decides: written === undefined,
  }));
}
