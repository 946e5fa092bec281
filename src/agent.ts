import { createHash } from 'node:crypto';
import type { Account } from './account/account.ts';
import { type AccountStore, ensureFirstAccounts, openAccountStore } from './account/account-store.ts';
import { DigestAuthenticator } from './account/digest.ts';
import { loadNonceKey } from './account/nonce-key.ts';
import type { Configuration } from './cli/configuration.ts';
import { discover } from './discovery/detect.ts';
import { type MachineFacts, readMachineFacts } from './discovery/machine-facts.ts';
import type { DiscoveryContext, DiscoveryLog, Provider } from './discovery/provider.ts';
import type { Topology } from './discovery/topology.ts';
import { mappingChanges } from './discovery/topology-diff.ts';
import { CloudsipError } from './error.ts';
import { Identity } from './identity/identity.ts';
import { diffListeners } from './identity/listener-diff.ts';
import { planListeners, subnetsByAddress } from './identity/listener-plan.ts';
import type { LocationStore } from './location/location-store.ts';
import { openSqliteLocation } from './location/sqlite-location.ts';
import type { MediaRelay } from './media/media-contract.ts';
import type { MediaLog } from './media/media-log.ts';
import { startMediaRelay } from './media/media-relay.ts';
import { type Endpoint, formatEndpoint } from './net/address.ts';
import type { Clock } from './net/clock.ts';
import { type Listener, listenerKey } from './net/listener.ts';
import { LogLimit } from './net/log-limit.ts';
import { readOsInterfaces } from './net/os-interfaces.ts';
import { DialogCookies } from './proxy/dialog-cookie.ts';
import { MediaAnchor } from './proxy/media-anchor.ts';
import { ProxyCore } from './proxy/proxy-core.ts';
import { handleRegister } from './registrar/registrar.ts';
import { TransactionLayer } from './sip/transaction/transaction-layer.ts';
import { createResolver } from './sip/transport/resolver.ts';
import type { Transport } from './sip/transport/transport.ts';
import { openUdp } from './sip/transport/udp.ts';

export interface AgentLog extends DiscoveryLog {
  error(details: object, message: string): void;
}

export interface AgentOptions {
  readonly configuration: Configuration;
  readonly providers: readonly Provider[];
  readonly log: AgentLog;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface AgentState {
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly transactionTimers: number;
  readonly bindings: number;
  readonly mediaSessions: number;
  readonly mediaPorts: number;
}

/** The running service: everything is made, joined and closed here, in visible order. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #limit: LogLimit;
  readonly #stop = new AbortController();
  readonly #transports = new Map<string, Transport>();
  readonly #accounts: AccountStore;
  readonly #location: LocationStore;
  readonly #layer: TransactionLayer;
  readonly #proxy: ProxyCore;
  readonly #identity: Identity;
  readonly #relay: MediaRelay | undefined;
  #topology: Topology;
  /** Topologies are applied one after the other. */
  #applying: Promise<void> = Promise.resolve();

  /** Accounts that were made because this is the very first start. */
  readonly newAccounts: readonly Account[];

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { configuration, clock, log } = options;
    this.#options = options;
    this.#limit = new LogLimit(clock);
    this.#accounts = parts.accounts;
    this.newAccounts = parts.newAccounts;
    this.#location = parts.location;
    this.#relay = parts.relay;
    this.#topology = parts.topology;
    this.#identity = new Identity({
      listeners: [],
      localNetworks: [],
      aliases: configuration.aliases,
      domains: configuration.domains,
    });
    const identity = this.#identity;
    const key = loadNonceKey(configuration.stateDirectory);
    const authenticator = new DigestAuthenticator(configuration.realm, parts.accounts, key, clock);
    this.#proxy = new ProxyCore({
      clock,
      log,
      identity,
      resolver: createResolver({ clock }),
      cookies: new DialogCookies(createHash('sha256').update('record-route').update(key).digest('hex')),
      media:
        parts.relay &&
        new MediaAnchor(parts.relay, identity, {
          unreadable: configuration.unreadableSdp,
          silence: configuration.silentCalls,
        }),
      transportOf: (listener) => this.#transports.get(listenerKey(listener)),
      listenerByKey: (name) => this.#transports.get(name)?.listener,
      counters: { requests: 0, refused: 0, unauthorized: 0, forwarded: 0, strayAcks: 0 },
      accounts: parts.accounts,
      authenticator,
      realm: configuration.realm,
      location: parts.location,
      register: (request, { source, listenerKey: listener }) =>
        handleRegister(
          request,
          { source, listenerKey: listener, now: clock.now() },
          {
            location: parts.location,
            authenticator,
            accounts: parts.accounts,
            isOurDomain: (host, port) => identity.isSelf(host, port),
          },
        ),
    });
    this.#layer = new TransactionLayer({ clock, user: this.#proxy });
    this.#proxy.attach(this.#layer);
  }

  /** Discovers, opens the stores, binds every listener. Rejects with a CloudsipError; nothing stays open then. */
  static async start(options: AgentOptions): Promise<Agent> {
    const { configuration, providers, log, clock, env } = options;
    const facts = readMachineFacts();
    const context: DiscoveryContext = {
      facts,
      clock,
      log,
      env,
      configuration: configuration.static,
      currentInterfaces: () => readOsInterfaces(),
    };
    const stopped = new AbortController();
    // The stores open while the cloud is being asked.
    const asked = discover(providers, configuration.provider, context, stopped.signal);
    asked.catch(() => {});
    const opened: { close(): unknown }[] = [];
    // Before everything else: its thread starts while this one opens the stores.
    const relaying =
      configuration.media === 'off'
        ? Promise.resolve(undefined)
        : startMediaRelay({
            portRange: configuration.rtpPorts,
            forwarder: configuration.media,
            silence: configuration.silenceLimits,
            dscp: configuration.dscp,
            keepOrigin: configuration.sdpOrigin === 'keep',
            clock,
            log: mediaLog(log),
          });
    opened.push({ close: async () => (await relaying.catch(() => undefined))?.close() });
    try {
      const accounts = openAccountStore(configuration.stateDirectory, {
        clock,
        onReadError: (error) => log.error({ err: error }, 'accounts cannot be read'),
      });
      opened.push(accounts);
      const location = openSqliteLocation(configuration.stateDirectory, clock, {
        report: (sentence, error) => log.warn({ err: error }, sentence),
      });
      opened.push(location);
      const relay = await relaying;
      const { provider, topology } = await asked;
      const newAccounts = ensureFirstAccounts(accounts);
      const agent = new Agent(options, {
        accounts,
        newAccounts,
        location,
        relay,
        topology,
      });
      opened.push({ close: () => agent.#closeTransports() });
      await agent.#apply(topology, facts);
      provider.watch(context, (next) => agent.#changed(next), agent.#stop.signal, topology);
      return agent;
    } catch (error) {
      stopped.abort();
      for (const part of opened.reverse()) await part.close();
      throw error;
    }
  }

  get topology(): Topology {
    return this.#topology;
  }

  get listeners(): readonly Listener[] {
    return [...this.#transports.values()].map((transport) => transport.listener);
  }

  /** What is under way at this moment: all zero but the bindings once the last call and its timers are over. */
  state(): AgentState {
    const stats = this.#relay?.stats;
    return {
      serverTransactions: this.#layer.serverTransactions,
      clientTransactions: this.#layer.clientTransactions,
      transactionTimers: this.#layer.pendingTimers,
      bindings: this.#location.size,
      mediaSessions: stats?.sessions ?? 0,
      mediaPorts: stats?.portsInUse ?? 0,
    };
  }

  /** Closes the listeners, then what stands behind them. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#applying;
    await this.#closeTransports();
    this.#layer.close();
    await this.#relay?.close();
    this.#location.close();
    this.#accounts.close();
    this.#limit.close();
  }

  #changed(topology: Topology): void {
    const { log } = this.#options;
    const changes = mappingChanges(this.#topology, topology);
    this.#applying = this.#applying.then(async () => {
      if (this.#stop.signal.aborted) return;
      try {
        await this.#apply(topology, readMachineFacts());
        log.info({ changes }, 'the cloud changed: listeners follow');
      } catch (error) {
        // What runs keeps running as it was.
        log.error({ err: error, changes }, 'the cloud changed, and the listeners cannot follow');
      }
    });
  }

  /** Makes the listeners what this topology asks for. Boot is the difference from nothing. */
  async #apply(topology: Topology, facts: MachineFacts): Promise<void> {
    const { configuration, log } = this.#options;
    const localNetworks = [...topology.localNetworks, ...configuration.localNetworks];
    const plan = planListeners(
      topology,
      {
        listen: configuration.listen,
        ...(configuration.advertise !== undefined && { advertise: configuration.advertise }),
        transports: ['udp'],
      },
      facts.interfaces.flatMap((nic) => nic.addresses.map(({ address }) => address)),
    );
    for (const warning of plan.warnings) log.warn({}, warning);
    const { added, readvertised, retired } = diffListeners(this.listeners, plan.listeners);
    const subnets = subnetsByAddress(topology);
    // What can fail comes first: then nothing else has changed yet.
    const opened: Transport[] = [];
    try {
      for (const listener of added) {
        opened.push(await this.#open(listener));
        // Before the next await: a message that comes now must find out who we are.
        this.#identity.update(this.listeners, localNetworks, subnets);
      }
    } catch (error) {
      for (const transport of opened) await this.#retire(transport);
      throw error;
    }
    // The socket stays; only the name that it goes by changes.
    for (const { running, advertised } of readvertised) {
      running.advertised = withPort(advertised, running.bound.port);
    }
    for (const listener of retired) {
      const transport = this.#transports.get(listenerKey(listener));
      if (transport) await this.#retire(transport);
    }
    this.#topology = topology;
    this.#identity.update(this.listeners, localNetworks, subnets);
    // No SDP makes the relay send to SIP, by whatever name.
    this.#relay?.protect(
      this.listeners.flatMap(({ bound, advertised }) => (advertised ? [bound, advertised] : [bound])),
    );
  }

  async #open(listener: Listener): Promise<Transport> {
    const { configuration, log, clock } = this.#options;
    if (listener.transport !== 'udp') {
      throw new CloudsipError(
        'agent.transport',
        `${listenerKey(listener)} cannot be opened: expected a udp listener, since SIP is served over UDP alone so far. Write udp:${formatEndpoint(listener.bound)}.`,
      );
    }
    const transport = await openUdp(listener, this.#receive, {
      log,
      clock,
      implementation: configuration.udp,
    });
    transport.listener.advertised = withPort(transport.listener.advertised, transport.listener.bound.port);
    this.#transports.set(listenerKey(transport.listener), transport);
    return transport;
  }

  async #retire(transport: Transport): Promise<void> {
    this.#transports.delete(listenerKey(transport.listener));
    await transport.close();
  }

  async #closeTransports(): Promise<void> {
    for (const transport of [...this.#transports.values()]) await this.#retire(transport);
  }

  /** The last line of defence: no message may end the process, whatever it finds in us. */
  readonly #receive = (text: string, source: Endpoint, transport: Transport): void => {
    try {
      this.#layer.receive(text, source, transport);
    } catch (error) {
      this.#limit.line('agent.message', (suppressed) =>
        this.#options.log.error({ err: error, source, suppressed }, 'a message could not be processed'),
      );
    }
  };
}

/** Port 0 means the bound one: it is known only once the socket is open. */
function withPort(advertised: Endpoint | undefined, boundPort: number): Endpoint | undefined {
  return advertised && { address: advertised.address, port: advertised.port || boundPort };
}

function mediaLog(log: AgentLog): MediaLog {
  return {
    debug: (message) => log.debug({}, message),
    info: (message, details = {}) => log.info(details, message),
    warn: (message) => log.warn({}, message),
  };
}

interface AgentParts {
  readonly accounts: AccountStore;
  readonly newAccounts: readonly Account[];
  readonly location: LocationStore;
  readonly relay: MediaRelay | undefined;
  readonly topology: Topology;
}
