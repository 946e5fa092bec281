import type { Configuration } from '../cli/configuration.ts';
import type { DiscoveryContext, DiscoveryLog, Provider } from '../discovery/provider.ts';
import type { Topology } from '../discovery/topology.ts';
import { mappingChanges } from '../discovery/topology-diff.ts';
import type { CloudsipError } from '../error.ts';
import type { Timer } from '../net/clock.ts';
import { listenerKey } from '../net/listener.ts';
import { readOsInterfaces } from '../net/os-interfaces.ts';
import { type Applied, applyTopology, type Followers } from './apply-topology.ts';
import type { StunOccasion } from './bound-stun.ts';
import { changedOptions, type LiveConfiguration } from './live-configuration.ts';

export interface AgentLog extends DiscoveryLog {
  /** The least important lines that are written. */
  level: string;
  error(details: object, message: string): void;
}

export interface FollowerOptions {
  readonly followers: Followers;
  readonly live: LiveConfiguration;
  readonly provider: Provider;
  readonly context: DiscoveryContext;
  readonly log: AgentLog;
  /** Called when other options have come into force. */
  readonly adopted: () => void;
}

/** What could not be done is tried again after so long. */
const retryMs = 15_000;

/** Keeps what runs in line with the cloud, the machine and the configuration, without a restart. */
export class Follower {
  readonly #options: FollowerOptions;
  /** What the cloud told, and the same with what STUN saw. */
  #told: Topology;
  #topology: Topology;
  /** Changes are applied one after the other. */
  #applying: Promise<void> = Promise.resolve();
  /** What waits for its turn: of many changes the last one counts. */
  #waiting: { topology: Topology | undefined; occasion: StunOccasion } | undefined;
  /** What was told of the topology in force: each warning is told once for as long as it holds. */
  #sentences: readonly string[] = [];
  #retry: Timer | undefined;
  /** What the cloud said last, where it could not be followed. */
  #refused: Topology | undefined;
  #refusalTold: string | undefined;
  /** A reading of the file that has not begun. */
  #reloading: Promise<void> | undefined;
  #closed = false;

  constructor(topology: Topology, options: FollowerOptions) {
    this.#told = topology;
    this.#topology = topology;
    this.#options = options;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** The start. Rejects where the options that a person gave cannot be served; those of tags are left out then. */
  async begin(withoutTags: Configuration): Promise<void> {
    await this.#apply(this.#told, this.#options.live.current, withoutTags, true, 'news');
  }

  /** Brings what runs into line with a new topology (or the one in force) and with the options as they are now. */
  follow(next?: Topology, occasion: StunOccasion = next ? 'news' : 'neither'): Promise<void> {
    if (this.#waiting) {
      this.#waiting.topology = next ?? this.#waiting.topology;
      this.#waiting.occasion = stronger(this.#waiting.occasion, occasion);
      return this.#applying;
    }
    const waiting = { topology: next, occasion };
    this.#waiting = waiting;
    this.#applying = this.#applying.then(() => {
      this.#waiting = undefined;
      return this.#closed ? undefined : this.#follow(waiting.topology, waiting.occasion);
    });
    return this.#applying;
  }

  /**
   * Reads the configuration file again. What cannot be used changes nothing, and is told of. Who asks while another
   * reading waits for its turn is served by that one: it will see the file as it is then.
   */
  reload(): Promise<void> {
    if (this.#reloading !== undefined) return this.#reloading;
    const reloading = this.#applying.then(() => {
      this.#reloading = undefined;
      return this.#closed ? undefined : this.#reload();
    });
    this.#reloading = reloading;
    this.#applying = reloading;
    return reloading;
  }

  async #reload(): Promise<void> {
    const { live, log } = this.#options;
    if (!live.hasFile) {
      log.warn({}, 'there is no configuration file to read again: name one with --config');
      return;
    }
    try {
      await live.reread();
    } catch (error) {
      const { code, message } = error as CloudsipError;
      log.error({ code }, `the configuration stays as it was: ${message}`);
      return;
    }
    log.info({}, 'the configuration file was read again');
    await this.#follow(undefined, 'neither');
  }

  /** Resolves when nothing is being changed any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#applying;
    this.#stopRetry();
  }

  async #follow(next: Topology | undefined, occasion: StunOccasion): Promise<void> {
    const { log, live } = this.#options;
    const before = this.#topology;
    const current = live.current;
    const told = next ?? this.#refused;
    let topology = told ?? this.#told;
    try {
      const wanted = live.wanted(topology.options ?? {});
      if (changedOptions(current, wanted).includes('static')) topology = await this.#readStatic(wanted);
      const { added, readvertised, retired } = await this.#apply(topology, wanted, current, false, occasion);
      const changes = mappingChanges(before, this.#topology);
      const options = changedOptions(current, live.current);
      const done = { changes, added, readvertised, retired, options };
      if (Object.values(done).every((list) => list.length === 0)) {
        log.debug({}, 'the cloud changed, but nothing that listeners follow');
      } else if (told) log.info(done, 'the cloud changed: listeners follow');
      else if (occasion === 'again') log.info(done, 'STUN sees something else: listeners follow');
      else log.info(done, 'listeners follow the configuration');
    } catch (error) {
      if (this.#closed) return;
      // What runs keeps running as it was. The cloud says a thing once, so it is tried again.
      this.#refused = told;
      const what = told ? 'the cloud changed' : 'the configuration changed';
      const changes = mappingChanges(before, topology);
      const refusal = `${what} ${String(error)}`;
      if (refusal !== this.#refusalTold)
        log.error({ err: error, changes }, `${what}, and the listeners cannot follow`);
      this.#refusalTold = refusal;
      this.#tryAgain();
    }
  }

  /** The section `static` is a topology of its own: its provider is asked again. */
  #readStatic(wanted: Configuration): Promise<Topology> {
    const { provider, context } = this.#options;
    if (provider.name !== 'static') return Promise.resolve(this.#told);
    const facts = { ...context.facts, interfaces: readOsInterfaces() };
    const signal = new AbortController().signal;
    return provider.discover({ ...context, facts, configuration: wanted.static }, signal);
  }

  /**
   * Applies what is wanted, or else, where that cannot be served, the topology with the options of `otherwise`: a
   * tag or a line that is wrong must not keep the agent from following its addresses.
   */
  async #apply(
    topology: Topology,
    wanted: Configuration,
    otherwise: Configuration,
    strict: boolean,
    occasion: StunOccasion,
  ): Promise<Applied> {
    const { log, followers, live, adopted } = this.#options;
    const interfaces = readOsInterfaces();
    let configuration = wanted;
    let applied: Applied;
    try {
      applied = await applyTopology(followers, { topology, configuration, interfaces, strict, occasion });
    } catch (error) {
      const options = changedOptions(otherwise, wanted);
      if (options.length === 0) throw error;
      configuration = otherwise;
      if (strict) {
        live.adopt(otherwise);
        await followers.listeners.retire(followers.listeners.listeners, () => false);
      }
      applied = await applyTopology(followers, { topology, configuration, interfaces, strict, occasion });
      log.warn(
        { err: error, options },
        strict
          ? `what the tags say cannot be served, and they have no effect: ${options.map((name) => `cloudsip-${name}`).join(', ')}`
          : 'these options cannot be served, and stay as they were',
      );
    }
    this.#told = topology;
    this.#topology = applied.topology;
    this.#refused = undefined;
    this.#refusalTold = undefined;
    live.adopt(configuration);
    if (log.level !== configuration.logLevel) log.level = configuration.logLevel;
    adopted();
    this.#tell(applied);
    followers.stun.arm(() => void this.follow(undefined, 'again'));
    return applied;
  }

  /** Each sentence once for as long as it holds; what could not be opened is tried again. */
  #tell({ topology, warnings, failures, incomplete }: Applied): void {
    const { log } = this.#options;
    const failed = failures.map(
      ({ listener, error }) =>
        `${listenerKey(listener)} cannot be opened and will be tried again: ${error instanceof Error ? error.message : error}`,
    );
    const sentences = [...(topology.notes ?? []), ...warnings, ...failed];
    for (const sentence of sentences) if (!this.#sentences.includes(sentence)) log.warn({}, sentence);
    this.#sentences = sentences;
    this.#stopRetry();
    if (failures.length > 0 || incomplete) this.#tryAgain();
  }

  #tryAgain(): void {
    this.#stopRetry();
    this.#retry = this.#options.context.clock.schedule(() => void this.follow(), retryMs);
  }

  #stopRetry(): void {
    if (this.#retry !== undefined) this.#options.context.clock.cancel(this.#retry);
    this.#retry = undefined;
  }
}

function stronger(one: StunOccasion, other: StunOccasion): StunOccasion {
  if (one === 'again' || other === 'again') return 'again';
  return one === 'news' ? one : other;
}
