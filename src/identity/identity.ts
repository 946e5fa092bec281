import { bracket, type Endpoint, familyOf } from '../net/address.ts';
import type { Scope } from '../net/address-scope.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import { AliasTable } from './alias-table.ts';
import { DestinationTable, type DestinationTableOptions } from './destination-table.ts';
import { IdentityError } from './identity-error.ts';
import { type Advertised, parseAdvertised } from './listener-notation.ts';
import { MovedIdentities } from './moved-identities.ts';

/** What stands in Via, Record-Route, Contact, Path and SDP. */
export interface SentBy {
  /** Ready to be written: IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
}

export interface IdentityOptions {
  /** With their real ports: a socket that let the system choose is bound before. */
  readonly listeners: readonly Listener[];
  /** CIDRs that are reached by private addresses. */
  readonly localNetworks: readonly string[];
  /** CIDRs of the subnet that each bound address stands in; see `subnetsByAddress`. */
  readonly subnets?: ReadonlyMap<string, readonly string[]>;
  /** `host[:port]` for listeners that advertise nothing themselves. */
  readonly globalAdvertise?: string;
  /** See `AliasOptions`. */
  readonly aliases?: readonly string[];
  readonly domains?: readonly string[];
}

interface Identities {
  /** What `public` was made from. */
  readonly advertised: Endpoint | undefined;
  readonly bound: SentBy;
  readonly public: SentBy;
}

const MAX_TRANSACTION_IDENTITIES = 1024;
const MAX_NAMES = 4096;

/**
 * Who this agent is, depending on who is asking. Neighbours in the cloud's network see the private address and
 * the internet the public one, on the same socket; and whatever was ever told is recognised when it comes back.
 */
export class Identity {
  readonly aliases: AliasTable;
  readonly #global: Advertised | undefined;
  #listeners: readonly Listener[] = [];
  #retiring: readonly Listener[] = [];
  readonly #moved = new MovedIdentities();
  #destinations: DestinationTable;
  #identities = new WeakMap<Listener, Identities>();
  /** `host:port` → the one listener that goes, or at last went, by this name; null where several do. */
  #named = new Map<string, Listener | null>();
  /** `port host[:port]` → identity. */
  readonly #transactions = new Map<string, SentBy>();

  /** Throws an `IdentityError` where an alias, a network or the global host is none. */
  constructor(options: IdentityOptions) {
    const { listeners, localNetworks, subnets = new Map(), globalAdvertise, aliases, domains } = options;
    this.#global = globalAdvertise === undefined ? undefined : parseAdvertised(globalAdvertise);
    this.aliases = new AliasTable({ ...(aliases && { aliases }), ...(domains && { domains }) });
    this.#destinations = destinationsOf({ listeners, localNetworks, subnets });
    this.#adopt(listeners);
  }

  /**
   * Takes over what a new topology brought. Former identities stay known. `retiring` are sockets that serve what
   * was begun through them: a dialog that names one finds it, and nothing else leaves by it.
   */
  update(
    listeners: readonly Listener[],
    localNetworks: readonly string[],
    subnets: ReadonlyMap<string, readonly string[]> = new Map(),
    retiring: readonly Listener[] = [],
  ): void {
    this.#destinations = destinationsOf({ listeners, localNetworks, subnets });
    this.#adopt(listeners, retiring);
  }

  /** Takes over other aliases and domains. Throws an `IdentityError` before anything is changed. */
  rename(names: { readonly aliases: readonly string[]; readonly domains: readonly string[] }): void {
    this.aliases.configure(names);
  }

  /**
   * The identity to show to `destination` (numeric) from `listener`. `transactionAdvertise`, `host[:port]`, was
   * set for this branch and goes before everything, inside local networks too: who sets it knows the peer.
   * Else a local destination is told the bound address, and any other the listener's advertised one, the
   * global one, the bound one, whichever exists first.
   *
   * Ask once for each branch and keep the answer: its CANCEL, its ACK and its retries must show the same.
   */
  towards(listener: Listener, destination: string, transactionAdvertise?: string): SentBy {
    if (transactionAdvertise !== undefined) return this.#forTransaction(listener, transactionAdvertise);
    let identities = this.#identities.get(listener);
    if (identities === undefined || identities.advertised !== listener.advertised) {
      identities = this.#identify(listener);
    }
    const { local, scope } = this.#destinations.get(destination);
    if (local) return identities.bound;
    if (scope === 'link-local' && this.#scopeOf(listener) === 'link-local') return identities.bound;
    return identities.public;
  }

  /** Whether a numeric address is reached by private addresses. */
  isLocal(address: string): boolean {
    return this.#destinations.get(address).local;
  }

  /**
   * The listener by which goes on what was begun through `listener` while it advertised `shown`: another one where the
   * cloud has given it that public address since, and `destination` (numeric) is somebody who was shown it.
   */
  holderOf(listener: Listener, shown: Endpoint | undefined, destination: string): Listener {
    if (shown === undefined) return listener;
    const holder = this.#moved.holderOf(listener, shown);
    return holder !== listener && this.isLocal(destination) ? listener : holder;
  }

  /**
   * Who has the public address that the listener of this key advertised last. Undefined where nobody has, and where
   * that listener is somebody to the internet by itself: then nobody can tell whom it was shown to.
   */
  heirOf(key: string): Listener | undefined {
    const heir = this.#moved.heirOf(key);
    const still = heir && this.#listeners.find((listener) => listenerKey(listener) === key);
    return still && this.#isPublic(still) ? undefined : heir;
  }

  /** False while no listener has ever lost its public address: then there is nobody to ask for. */
  get hasHeirs(): boolean {
    return this.#moved.hasLost;
  }

  /** Advertised address → the bound address where what is sent to it arrives. */
  get places(): ReadonlyMap<string, string> {
    return this.#moved.places;
  }

  isSelf(host: string, port: number | undefined): boolean {
    return this.aliases.isSelf(host, port);
  }

  /**
   * The listener that a Record-Route of ours named: `host` as it was written (IPv6 in brackets). Undefined where
   * nobody goes by that name any more, or several do.
   */
  listenerNamed(host: string, port: number): Listener | undefined {
    return this.#named.get(`${host}:${port}`) ?? undefined;
  }

  /**
   * The socket to send from to `destination` (numeric), always of the same transport and of its family: the one
   * whose subnet the destination stands in; towards the internet the one that received if it is somebody there, else
   * the one that has its public address now, else one that is; else the one that received. Returns `receivedOn` where
   * no listener fits.
   */
  listenerFor(receivedOn: Listener, destination: string): Listener {
    const { family, scope, local, facing } = this.#destinations.get(destination);
    const fits = (listener: Listener): boolean =>
      listener.transport === receivedOn.transport &&
      this.#destinations.get(listener.bound.address).family === family &&
      // The kernel sends nothing from a loopback address to another machine.
      (scope === 'loopback' || this.#scopeOf(listener) !== 'loopback');
    const receivedFits = fits(receivedOn);
    if (scope === 'loopback') {
      if (receivedFits && this.#scopeOf(receivedOn) === 'loopback') return receivedOn;
      const loopback = this.#listeners.find(
        (listener) => fits(listener) && this.#scopeOf(listener) === 'loopback',
      );
      if (loopback) return loopback;
    }
    if (receivedFits && facing.includes(receivedOn)) return receivedOn;
    const neighbour = facing.find(fits);
    if (neighbour) return neighbour;
    if (!local) {
      if (receivedFits && this.#isPublic(receivedOn)) return receivedOn;
      const heir = this.hasHeirs ? this.heirOf(listenerKey(receivedOn)) : undefined;
      if (heir && fits(heir)) return heir;
      const outward = this.#listeners.find((listener) => fits(listener) && this.#isPublic(listener));
      if (outward) return outward;
    }
    if (receivedFits) return receivedOn;
    return this.#listeners.find(fits) ?? receivedOn;
  }

  /** Whether the internet can answer to this listener. */
  #isPublic(listener: Listener): boolean {
    if (listener.advertised !== undefined || this.#globalFor(listener) !== undefined) return true;
    const { local, scope } = this.#destinations.get(listener.bound.address);
    return !local && scope === 'public';
  }

  #scopeOf(listener: Listener): Scope {
    return this.#destinations.get(listener.bound.address).scope;
  }

  #adopt(listeners: readonly Listener[], retiring: readonly Listener[] = []): void {
    this.#listeners = listeners;
    this.#retiring = retiring;
    this.#moved.adopt(listeners);
    this.#learnListeners();
  }

  /** A listener is known by its bound and its advertised host, each with either port. */
  #learnListeners(): void {
    const former = this.#named;
    this.#named = new Map();
    for (const listener of this.#listeners) {
      for (const { host, port } of [sentBy(listener.bound), sentBy(this.#shownBy(listener))]) {
        const name = `${host}:${port}`;
        const other = this.#named.get(name);
        this.#named.set(name, other === undefined || other === listener ? listener : null);
      }
    }
    // The dialogs that were told a former name go on by the same socket, unless another has the name now.
    for (const [name, listener] of former) {
      if (!listener || this.#named.has(name) || this.#named.size >= MAX_NAMES) continue;
      if (this.#listeners.includes(listener) || this.#retiring.includes(listener))
        this.#named.set(name, listener);
    }
    this.aliases.setOwn(
      this.#listeners.flatMap((listener) => {
        const { bound } = listener;
        const shown = this.#shownBy(listener);
        return [bound, shown, { ...bound, port: shown.port }, { ...shown, port: bound.port }];
      }),
    );
  }

  #identify(listener: Listener): Identities {
    const shown = this.#shownBy(listener);
    const identities: Identities = {
      advertised: listener.advertised,
      bound: sentBy(listener.bound),
      public: sentBy(shown),
    };
    this.#identities.set(listener, identities);
    if (this.#listeners.includes(listener)) {
      // It was given another public address since: the former one becomes a learned one.
      this.#learnListeners();
    } else {
      this.aliases.learn(listener.bound.address, listener.bound.port);
      this.aliases.learn(shown.address, shown.port);
    }
    return identities;
  }

  #shownBy(listener: Listener): Endpoint {
    return listener.advertised ?? this.#globalFor(listener) ?? listener.bound;
  }

  /** A global address of the other family would lead nobody to this socket. */
  #globalFor(listener: Listener): Endpoint | undefined {
    const global = this.#global;
    if (!global) return undefined;
    const family = familyOf(global.host);
    if (family !== undefined && family !== familyOf(listener.bound.address)) return undefined;
    return { address: global.host, port: global.port ?? listener.bound.port };
  }

  #forTransaction(listener: Listener, advertise: string): SentBy {
    const key = `${listener.bound.port} ${advertise}`;
    const known = this.#transactions.get(key);
    if (known) return known;
    const { host, port = listener.bound.port } = parseAdvertised(advertise);
    const identity = sentBy({ address: host, port });
    this.aliases.learn(host, port);
    if (this.#transactions.size >= MAX_TRANSACTION_IDENTITIES) {
      const oldest = this.#transactions.keys().next();
      if (!oldest.done) this.#transactions.delete(oldest.value);
    }
    this.#transactions.set(key, identity);
    return identity;
  }
}

/** Throws before anything is changed. */
function destinationsOf(options: DestinationTableOptions): DestinationTable {
  const blind = options.listeners.find((listener) => listener.bound.port === 0);
  if (blind) {
    throw new IdentityError(
      'identity.port-unknown',
      `The port of ${blind.transport}:${bracket(blind.bound.address)} is not known yet. Bind the socket before the identity is made.`,
    );
  }
  return new DestinationTable(options);
}

function sentBy({ address, port }: Endpoint): SentBy {
  return { host: bracket(address), port };
}
