import type { NetworkInterface, Topology } from '../discovery/topology.ts';
import {
  bracket,
  type Endpoint,
  type Family,
  familyOf,
  formatEndpoint,
  isUnspecified,
  normalizeHost,
} from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { Listener, TransportName } from '../net/listener.ts';
import { IdentityError } from './identity-error.ts';
import {
  type Advertised,
  type ListenerNotation,
  parseAdvertised,
  parseListener,
} from './listener-notation.ts';

export interface ListenOptions {
  /** `--listen` in OpenSIPS's notation; empty for one listener on each private address. */
  readonly listen: readonly string[];
  /**
   * `--advertise`, `host[:port]`: what listeners without an `as` of their own advertise. It is written by a
   * person who knows better, so it goes before what discovery found.
   */
  readonly advertise?: string;
  /** Of the listeners that are planned without `listen`. */
  readonly transports: readonly TransportName[];
  /**
   * What becomes of an address in `listen` that the machine does not have: it is refused, the default, or left
   * out with a warning, as long as another remains. A running agent does not stand still for a card that was
   * taken out.
   */
  readonly missing?: 'refuse' | 'leave-out';
}

export interface ListenerPlan {
  readonly listeners: Listener[];
  /** Sentences for the log: what was left out or looks wrong, and what to do. */
  readonly warnings: string[];
  /** True where an address that was asked for was left out. */
  readonly incomplete: boolean;
}

interface Known {
  readonly topology: Topology;
  readonly owned: ReadonlySet<string>;
  /** Private address → public address. */
  readonly publicOf: ReadonlyMap<string, string>;
}

/**
 * Where to listen and as whom. `ownAddresses` is what the operating system has: nothing else can be bound.
 * Throws an `IdentityError` where the wish cannot be met.
 */
export function planListeners(
  topology: Topology,
  options: ListenOptions,
  ownAddresses: Iterable<string>,
): ListenerPlan {
  const owned = new Set([...ownAddresses].map(normalizeHost));
  const mappings = topology.interfaces.flatMap((nic) => nic.addresses);
  const publicOf = new Map(
    mappings.flatMap(({ privateAddress, publicAddress }) =>
      publicAddress === undefined
        ? []
        : [[normalizeHost(privateAddress), normalizeHost(publicAddress)] as const],
    ),
  );
  const known: Known = { topology, owned, publicOf };
  const warnings: string[] = [];
  const advertise = options.advertise === undefined ? undefined : parseAdvertised(options.advertise);

  const wishes: ListenerNotation[] =
    options.listen.length > 0
      ? options.listen.map(parseListener)
      : options.transports.map((transport) => parseListener(`${transport}:*`));
  let missing: IdentityError | undefined;
  const listeners = wishes.flatMap((wish) => {
    try {
      return addressesOf(wish, known, warnings).map((address): Listener => {
        const bound = { address, port: wish.port };
        return { transport: wish.transport, bound, advertised: advertisedOf(wish, address) };
      });
    } catch (error) {
      if (options.missing !== 'leave-out' || !(error instanceof IdentityError)) throw error;
      missing = error;
      warnings.push(error.message);
      return [];
    }
  });
  if (missing && listeners.length === 0) throw missing;
  refuseDuplicates(listeners);
  warnings.push(...sharedIdentities(listeners));
  return { listeners, warnings: [...new Set(warnings)], incomplete: missing !== undefined };

  function advertisedOf(wish: ListenerNotation, address: string): Endpoint | undefined {
    const mapped = publicOf.get(address);
    const chosen: Advertised | undefined = wish.as ?? fitting(advertise, address);
    if (!chosen) return mapped === undefined ? undefined : { address: mapped, port: wish.port };
    if (mapped !== undefined && familyOf(chosen.host) && chosen.host !== mapped) {
      warnings.push(
        `${address} is advertised as ${bracket(chosen.host)} as you wrote, but ${topology.provider} maps it to ${mapped}: callers may not reach it.`,
      );
    }
    return { address: chosen.host, port: chosen.port ?? wish.port };
  }
}

/** The subnets that each private address stands in, for `Identity`. */
export function subnetsByAddress(topology: Topology): Map<string, readonly string[]> {
  return new Map(
    topology.interfaces.flatMap((nic) =>
      nic.addresses.map(({ privateAddress }) => [normalizeHost(privateAddress), nic.subnets] as const),
    ),
  );
}

/** An advertised address of the other family would be a lie: no datagram to it ever arrives there. */
function fitting(advertise: Advertised | undefined, address: string): Advertised | undefined {
  const family = advertise && familyOf(advertise.host);
  return family === undefined || family === familyOf(address) ? advertise : undefined;
}

function addressesOf(wish: ListenerNotation, known: Known, warnings: string[]): string[] {
  if (wish.address !== '*' && !isUnspecified(wish.address)) {
    if (!isOwned(wish.address, known.owned)) throw notOwned(wish, known);
    return [wish.address];
  }
  const family: Family | undefined = wish.address === '*' ? undefined : familyOf(wish.address);
  const found: string[] = [];
  for (const nic of known.topology.interfaces) {
    const absent: string[] = [];
    for (const mapping of nic.addresses) {
      const address = normalizeHost(mapping.privateAddress);
      if (family !== undefined && familyOf(address) !== family) continue;
      if (wish.as && !fitting(wish.as, address)) continue;
      if (isOwned(address, known.owned)) found.push(address);
      else absent.push(address);
    }
    if (absent.length > 0) warnings.push(notConfigured(absent, nic, known.topology.provider));
  }
  if (found.length > 0) return [...new Set(found)];
  throw noAddress(known);
}

/** The whole of 127.0.0.0/8 belongs to the loopback interface, though it shows one address. */
function isOwned(address: string, owned: ReadonlySet<string>): boolean {
  return owned.has(address) || (familyOf(address) === 'ipv4' && scopeOf(address) === 'loopback');
}

function notConfigured(addresses: readonly string[], nic: NetworkInterface, provider: string): string {
  const where = nic.osName ?? `the interface with MAC ${nic.mac}`;
  if (addresses.length === 1) {
    return `${addresses[0]} belongs to this machine according to ${provider}, but the operating system does not have it, so nothing listens there. Configure it on ${where} ("ip address add") and it is taken up by itself.`;
  }
  return `${listOf(addresses)} belong to this machine according to ${provider}, but the operating system does not have them, so nothing listens there. Configure them on ${where} ("ip address add") and they are taken up by themselves.`;
}

function notOwned(wish: ListenerNotation, { topology, owned, publicOf }: Known): IdentityError {
  const { transport, address, port } = wish;
  const behind = [...publicOf].find(([, publicAddress]) => publicAddress === address)?.[0];
  if (behind !== undefined) {
    const as = formatEndpoint({ address, port: wish.as?.port ?? port });
    return new IdentityError(
      'identity.address-not-owned',
      `${address} is the public address in front of ${behind}: write ${transport}:${formatEndpoint({ address: behind, port })} as ${as}`,
    );
  }
  const nic = topology.interfaces.find((each) =>
    each.addresses.some(({ privateAddress }) => normalizeHost(privateAddress) === address),
  );
  if (nic) {
    return new IdentityError(
      'identity.address-not-owned',
      `Cannot listen on ${address}: it belongs to this machine according to ${topology.provider}, but the operating system does not have it. Configure it on ${nic.osName ?? nic.mac} ("ip address add") first.`,
    );
  }
  return new IdentityError(
    'identity.address-not-owned',
    `Cannot listen on ${address}: this machine does not have that address. It has ${listOf(owned)}. Write one of them; if ${address} is a public address that is mapped to one of them, write ${transport}:PRIVATE:${port} as ${formatEndpoint({ address, port })}`,
  );
}

function noAddress({ topology, owned }: Known): IdentityError {
  const told = topology.interfaces.flatMap((nic) => nic.addresses.map((each) => each.privateAddress));
  return new IdentityError(
    'identity.no-address',
    `There is no address to listen on: ${topology.provider} tells ${listOf(told)}, the operating system has ${listOf(owned)}. In a container use the host's network, or map the container's address to the public one with --provider static.`,
  );
}

function refuseDuplicates(listeners: readonly Listener[]): void {
  const seen = new Set<string>();
  for (const { transport, bound } of listeners) {
    const key = `${transport}:${formatEndpoint(bound)}`;
    if (bound.port !== 0 && seen.has(key)) {
      throw new IdentityError(
        'identity.duplicate-listener',
        `${key} is to be listened on twice. Write it once; one socket serves the local networks and the internet alike.`,
      );
    }
    seen.add(key);
  }
}

/** Two sockets under one name: what comes back to that name says no longer which of them was meant. */
function sharedIdentities(listeners: readonly Listener[]): string[] {
  const first = new Map<string, Listener>();
  return listeners.flatMap((listener) => {
    if (!listener.advertised || listener.bound.port === 0) return [];
    const key = `${listener.transport}:${formatEndpoint(listener.advertised)}`;
    const other = first.get(key);
    if (!other) {
      first.set(key, listener);
      return [];
    }
    return [
      `${formatEndpoint(other.bound)} and ${formatEndpoint(listener.bound)} are both advertised as ${key}: only one of them can be reached there. Give each its own "as".`,
    ];
  });
}

function listOf(addresses: Iterable<string>): string {
  const all = [...addresses];
  const shown = all.slice(0, 12).join(', ');
  if (all.length === 0) return 'none';
  return all.length > 12 ? `${shown} and ${all.length - 12} more` : shown;
}
