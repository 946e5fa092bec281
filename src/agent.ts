import { createHash } from 'node:crypto';
import type { Account } from './account/account.ts';
import { type AccountStore, ensureFirstAccounts, openAccountStore } from './account/account-store.ts';
import { DigestAuthenticator } from './account/digest.ts';
import { loadNonceKey } from './account/nonce-key.ts';
import { BoundStun } from './agent/bound-stun.ts';
import { Drain } from './agent/drain.ts';
import { DtmfHook } from './agent/dtmf-hook.ts';
import { type AgentLog, Follower } from './agent/follower.ts';
import { ListenerSet } from './agent/listener-set.ts';
import { type ConfigurationLayers, LiveConfiguration, withLive } from './agent/live-configuration.ts';
import { relayOptions, relayWithTags, startRelay } from './agent/start-relay.ts';
import type { Configuration } from './cli/configuration.ts';
import { discover } from './discovery/detect.ts';
import { readMachineFacts } from './discovery/machine-facts.ts';
import type { DiscoveryContext, Provider } from './discovery/provider.ts';
import type { Topology } from './discovery/topology.ts';
import { CloudsipError } from './error.ts';
import { Identity } from './identity/identity.ts';
import type { LocationStore } from './location/location-store.ts';
import { openSqliteLocation } from './location/sqlite-location.ts';
import type { MediaRelay } from './media/media-contract.ts';
import { type Endpoint, formatEndpoint } from './net/address.ts';
import type { Clock } from './net/clock.ts';
import { type Listener, listenerKey } from './net/listener.ts';
import { LogLimit } from './net/log-limit.ts';
import { readOsInterfaces } from './net/os-interfaces.ts';
import { CallCount, type CallsInProgress } from './proxy/call-count.ts';
import { callLines } from './proxy/call-lines.ts';
import { type CallDigit, CallTaps } from './proxy/call-taps.ts';
import { DialogCookies } from './proxy/dialog-cookie.ts';
import { MediaAnchor } from './proxy/media-anchor.ts';
import { ProxyCore } from './proxy/proxy-core.ts';
import { transportNow } from './proxy/transport-now.ts';
import { handleRegister } from './registrar/registrar.ts';
import { TransactionLayer } from './sip/transaction/transaction-layer.ts';
import { createResolver } from './sip/transport/resolver.ts';
import type { Transport } from './sip/transport/transport.ts';
import { openUdp } from './sip/transport/udp.ts';

export interface AgentOptions {
  readonly configuration: ConfigurationLayers;
  readonly providers: readonly Provider[];
  readonly log: AgentLog;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Gives the start up, as long as the cloud is being asked. */
  readonly signal?: AbortSignal;
}

export interface AgentState {
  /** `serving`, `draining` or `ended`. */
  readonly drain: string;
  readonly calls: number;
  readonly unanswered: number;
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly transactionTimers: number;
  readonly bindings: number;
  readonly mediaSessions: number;
  readonly mediaPorts: number;
  readonly retiringListeners: number;
}

/** What a listener that is taken out of the plan tells whoever asks it for something new, in seconds. */
const retiredRetryAfter = 30;

/** The running service: everything is made, joined and closed here, in visible order. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #live: LiveConfiguration;
  readonly #limit: LogLimit;
  readonly #stop = new AbortController();
  readonly #accounts: AccountStore;
  readonly #location: LocationStore;
  readonly #layer: TransactionLayer;
  readonly #proxy: ProxyCore;
  readonly #identity: Identity;
  readonly #relay: MediaRelay | undefined;
  readonly #media: MediaAnchor | undefined;
  readonly #calls: CallsInProgress;
  #hook: DtmfHook | undefined;
  readonly #listeners: ListenerSet;
  readonly #follower: Follower;
  #closing: Promise<void> | undefined;

  /** The way to the end: see there. */
  readonly drain: Drain;
  /** Accounts that were made because this is the very first start. */
  readonly newAccounts: readonly Account[];

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { clock, log } = options;
    const { live, relay, accounts, location } = parts;
    const { realm, stateDirectory } = live.current;
    this.#options = options;
    this.#live = live;
    this.#limit = new LogLimit(clock);
    this.#accounts = accounts;
    this.newAccounts = parts.newAccounts;
    this.#location = location;
    this.#relay = relay;
    this.#identity = new Identity({ listeners: [], localNetworks: [] });
    const identity = this.#identity;
    const key = loadNonceKey(stateDirectory);
    const authenticator = new DigestAuthenticator(realm, accounts, key, clock);
    const media =
      relay &&
      new MediaAnchor(
        relay,
        identity,
        {
          get unreadable() {
            return live.current.unreadableSdp;
          },
          get silence() {
            return live.current.silentCalls;
          },
          get path() {
            return live.current.mediaPath;
          },
        },
        this.#tapsOf(relay),
        (callId, reason) =>
          this.#limit.line('agent.unrelayed', (suppressed) =>
            log.warn(
              { callId, reason, suppressed },
              'a description passes as it came: its media is not relayed',
            ),
          ),
      );
    this.#media = media;
    const calls = media ? undefined : new CallCount(clock);
    this.#calls = (media ?? calls)!;
    this.#listeners = new ListenerSet({
      clock,
      calls: this.#calls,
      unanswered: () => this.#layer.unansweredKeys,
      open: (listener) => this.#open(listener),
    });
    this.#proxy = new ProxyCore({
      clock,
      log,
      identity,
      resolver: createResolver({ clock }),
      cookies: new DialogCookies(createHash('sha256').update('record-route').update(key).digest('hex')),
      media,
      calls,
      transportOf: (listener) => this.#listeners.transportOf(listener),
      // A user who registered at a socket that is gone is reached by the one that has its public address now.
      listenerByKey: (name) => this.#listeners.byKey(name) ?? identity.heirOf(name),
      refusesNew: (listener, registers) => this.#refusesNew(listener, registers),
      counters: { requests: 0, refused: 0, unauthorized: 0, forwarded: 0, strayAcks: 0 },
      accounts,
      authenticator,
      get realm() {
        return live.current.realm;
      },
      location,
      register: (request, { source, listenerKey: listener }) =>
        handleRegister(
          request,
          { source, listenerKey: listener, now: clock.now() },
          {
            location,
            authenticator,
            accounts,
            isOurDomain: (host, port) => identity.isSelf(host, port),
          },
        ),
    });
    this.#layer = new TransactionLayer({
      clock,
      user: this.#proxy,
      transportNow: transportNow(identity, (listener) => this.#listeners.transportOf(listener)),
    });
    this.#proxy.attach(this.#layer);
    this.drain = new Drain({
      clock,
      log,
      timeoutMs: () => live.current.drainTimeoutMs,
      drainOn: () => live.current.drainOn,
      acknowledge: () => live.current.acknowledgeNotices === 'on',
      work: () => ({ calls: this.#calls.calls, transactions: this.#layer.unanswered }),
    });
    const stun = new BoundStun({
      clock,
      log,
      signal: AbortSignal.any([this.#stop.signal, parts.givenUp]),
    });
    this.#follower = new Follower(parts.topology, {
      followers: { listeners: this.#listeners, identity, relay, stun },
      live,
      provider: parts.provider,
      context: parts.context,
      log,
      adopted: () => {
        const { realm: named, dtmfHook } = live.current;
        authenticator.setRealm(named);
        this.#followHook(dtmfHook);
        this.drain.reconsider();
      },
    });
  }

  /**
   * Discovers, opens the stores, binds every listener and finds out its name. Rejects with a CloudsipError; nothing
   * stays open then.
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const { providers, log, clock, env } = options;
    const live = new LiveConfiguration(options.configuration, log);
    const { provider: named, stateDirectory } = live.current;
    const context: DiscoveryContext = {
      facts: readMachineFacts(),
      clock,
      log,
      env,
      // Both are asked for anew each time, since they may change.
      get configuration() {
        return live.current.static;
      },
      get pollIntervalMs() {
        return live.current.pollIntervalMs;
      },
      currentInterfaces: () => readOsInterfaces(),
    };
    const stopped = new AbortController();
    // Whether the provider listens to that or not.
    const givenUp = Promise.withResolvers<never>();
    givenUp.promise.catch(() => {});
    const giveUp = (): void => {
      const why = new CloudsipError('agent.given-up', 'the start was given up');
      stopped.abort(why);
      givenUp.reject(why);
    };
    if (options.signal?.aborted) giveUp();
    options.signal?.addEventListener('abort', giveUp, { once: true });
    // The stores open while the cloud is being asked.
    const asked = discover(providers, named, context, stopped.signal);
    asked.catch(() => {});
    const opened: { close(): unknown }[] = [];
    // Before everything else: its thread starts while this one opens the stores.
    const relaying = startRelay(live.current, clock, log);
    opened.push({ close: async () => (await relaying.catch(() => undefined))?.close() });
    try {
      const accounts = openAccountStore(stateDirectory, {
        clock,
        onReadError: (error) => log.error({ err: error }, 'accounts cannot be read'),
      });
      opened.push(accounts);
      const location = openSqliteLocation(stateDirectory, clock, {
        report: (sentence, error) => log.warn({ err: error }, sentence),
      });
      opened.push(location);
      const first = await relaying;
      const { provider, topology } = await Promise.race([asked, givenUp.promise]);
      const wanted = live.initial(topology.options ?? {});
      const relay = await relayWithTags(first, live.current, wanted, clock, log);
      opened.push({ close: () => relay?.close() });
      const newAccounts = ensureFirstAccounts(accounts);
      const withoutTags = live.current;
      live.adopt(relay === first ? { ...wanted, ...relayOptions(withoutTags) } : wanted);
      const agent = new Agent(options, {
        accounts,
        newAccounts,
        location,
        relay,
        topology,
        provider,
        context,
        live,
        givenUp: stopped.signal,
      });
      opened.push({ close: () => agent.#stopServing() });
      await agent.#follower.begin({ ...withLive(live.current, withoutTags), udp: withoutTags.udp });
      provider.watch(context, (next) => void agent.#follower.follow(next), agent.#stop.signal, topology);
      provider.watchNotices?.(context, (notice) => agent.drain.notice(notice), agent.#stop.signal);
      return agent;
    } catch (error) {
      stopped.abort();
      for (const part of opened.reverse()) await part.close();
      throw error;
    }
  }

  get topology(): Topology {
    return this.#follower.topology;
  }

  get configuration(): Configuration {
    return this.#live.current;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners.listeners;
  }

  /** See `callLines`. */
  calls(): Iterable<object> {
    return callLines(this.#relay, this.#calls, this.#options.clock.now());
  }

  /** What is under way at this moment: all zero but the bindings once the last call and its timers are over. */
  state(): AgentState {
    const stats = this.#relay?.stats;
    return {
      drain: this.drain.progress.state,
      calls: this.#calls.calls,
      unanswered: this.#layer.unanswered,
      serverTransactions: this.#layer.serverTransactions,
      clientTransactions: this.#layer.clientTransactions,
      transactionTimers: this.#layer.pendingTimers,
      bindings: this.#location.size,
      mediaSessions: stats?.sessions ?? 0,
      mediaPorts: stats?.portsInUse ?? 0,
      retiringListeners: this.#listeners.retiring.length,
    };
  }

  /** Reads the configuration file again. What cannot be used changes nothing, and is told of. */
  reload(): Promise<void> {
    return this.#follower.reload();
  }

  /** Begins or ends the recording of a call; false where there is none of that Call-ID with media here. */
  record(callId: string, wanted: boolean): boolean {
    return this.#media?.record(callId, wanted) ?? false;
  }

  /** Closes the listeners, then what stands behind them. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#stopServing();
    await this.#relay?.close();
    await this.#hook?.close();
    this.#location.close();
    this.#accounts.close();
    this.#limit.close();
  }

  #followHook(url: string | undefined): void {
    if (url === this.#hook?.url) return;
    const { clock, log } = this.#options;
    void this.#hook?.close();
    this.#hook = url === undefined ? undefined : new DtmfHook(url, clock, log);
  }

  #tapsOf(relay: MediaRelay): CallTaps {
    const { log, clock } = this.#options;
    const live = this.#live;
    const pressed = (digit: CallDigit): void => {
      log.info({ ...digit }, 'a key was pressed');
      this.#hook?.tell({ event: 'dtmf', time: new Date(clock.now()).toISOString(), ...digit });
    };
    const full = (callId: string): void =>
      this.#limit.line('agent.taps', (suppressed) =>
        log.warn({ callId, suppressed }, 'too many calls are recorded or listened to: this one is not'),
      );
    const policy = {
      get record() {
        return live.current.record;
      },
      get dtmf() {
        return live.current.dtmf;
      },
    };
    return new CallTaps(relay, this.#identity, policy, pressed, full);
  }

  async #stopServing(): Promise<void> {
    this.#stop.abort();
    this.drain.close();
    await this.#follower.close();
    await this.#listeners.close();
    this.#layer.close();
  }

  #refusesNew(listener: Listener, registers: boolean): number | undefined {
    if (this.#listeners.isRetiring(listener)) return retiredRetryAfter;
    // Who is registered stays so: the binding outlives this process on the disk, and a telephone that is refused
    // here may give up the call that it has.
    return registers ? undefined : this.drain.retryAfter;
  }

  async #open(listener: Listener): Promise<Transport> {
    const { log, clock } = this.#options;
    if (listener.transport !== 'udp') {
      throw new CloudsipError(
        'agent.transport',
        `${listenerKey(listener)} cannot be opened: expected a udp listener, since SIP is served over UDP alone so far. Write udp:${formatEndpoint(listener.bound)}.`,
      );
    }
    const shown = this.#media?.taps;
    const options = { log, clock, implementation: this.#live.current.udp };
    if (!shown) return openUdp(listener, this.#receive, options);
    let outer: Transport | undefined;
    const inner = await openUdp(
      listener,
      (text, source, transport) => this.#receive(text, source, outer ?? transport),
      options,
    );
    outer = shownTransport(inner, shown);
    return outer;
  }

  /** The last line of defence: no message may end the process, whatever it finds in us. */
  readonly #receive = (text: string, source: Endpoint, transport: Transport): void => {
    try {
      // Dropped, as it would be were the socket not open yet: SIP sends it again.
      if (this.#listeners.isHeld(transport)) return;
      const taps = this.#media?.taps;
      if (taps?.active) taps.saw(text, transport.listener, source, true);
      this.#layer.receive(text, source, transport);
    } catch (error) {
      this.#limit.line('agent.message', (suppressed) =>
        this.#options.log.error({ err: error, source, suppressed }, 'a message could not be processed'),
      );
    }
  };
}

/** A transport whose messages of recorded calls are shown as they leave. */
function shownTransport(transport: Transport, taps: CallTaps): Transport {
  return {
    listener: transport.listener,
    reliable: transport.reliable,
    counters: transport.counters,
    get onStun(): Transport['onStun'] {
      return transport.onStun;
    },
    set onStun(hear: Transport['onStun']) {
      transport.onStun = hear;
    },
    send: (text, destination) => {
      if (taps.active) taps.saw(text, transport.listener, destination, false);
      transport.send(text, destination);
    },
    close: () => transport.close(),
  };
}

interface AgentParts {
  readonly accounts: AccountStore;
  readonly newAccounts: readonly Account[];
  readonly location: LocationStore;
  readonly relay: MediaRelay | undefined;
  readonly topology: Topology;
  readonly provider: Provider;
  readonly context: DiscoveryContext;
  readonly live: LiveConfiguration;
  readonly givenUp: AbortSignal;
}
