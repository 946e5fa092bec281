import { type Family, familyOf, normalizeHost } from '../net/address.ts';
import { type Scope, scopeOf } from '../net/address-scope.ts';
import { type Cidr, parseCidr } from '../net/cidr.ts';
import type { Listener } from '../net/listener.ts';
import { copyOf } from './alias-table.ts';
import { IdentityError } from './identity-error.ts';

/** What the choice of an identity and of a socket needs to know of a destination. */
export interface DestinationFacts {
  readonly family: Family | undefined;
  readonly scope: Scope;
  /** In a local network, or on this machine: reached by private addresses. */
  readonly local: boolean;
  /** The listeners, of any transport, whose own subnet the destination stands in. */
  readonly facing: readonly Listener[];
}

export interface DestinationTableOptions {
  readonly listeners: readonly Listener[];
  /** CIDRs. */
  readonly localNetworks: readonly string[];
  /** CIDRs by bound address. */
  readonly subnets: ReadonlyMap<string, readonly string[]>;
}

const MAX_DESTINATIONS = 8192;

/** The facts of each destination, worked out once. Made anew when listeners or networks change. */
export class DestinationTable {
  readonly #local: readonly Cidr[];
  readonly #facing: readonly { readonly listener: Listener; readonly networks: readonly Cidr[] }[];
  readonly #known = new Map<string, DestinationFacts>();

  /** Throws `identity.local-network` where something is no CIDR. */
  constructor({ listeners, localNetworks, subnets }: DestinationTableOptions) {
    this.#local = localNetworks.map(cidrOf);
    this.#facing = listeners.map((listener) => ({
      listener,
      networks: (subnets.get(listener.bound.address) ?? []).map(cidrOf),
    }));
  }

  /** One Map look-up for a destination that was asked for before. */
  get(address: string): DestinationFacts {
    return this.#known.get(address) ?? this.#learn(address);
  }

  #learn(address: string): DestinationFacts {
    // As it was spelled on the wire: `::ffff:10.0.0.7` is 10.0.0.7, and a name stays none of our business.
    const normal = normalizeHost(address);
    const family = familyOf(normal);
    const scope = family ? scopeOf(normal) : 'public';
    const facts: DestinationFacts = {
      family,
      scope,
      local: scope === 'loopback' || this.#local.some((network) => network.contains(normal)),
      facing: this.#facing
        .filter(({ networks }) => networks.some((network) => network.contains(normal)))
        .map(({ listener }) => listener),
    };
    if (this.#known.size >= MAX_DESTINATIONS) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    this.#known.set(copyOf(address), facts);
    return facts;
  }
}

function cidrOf(text: string): Cidr {
  const network = parseCidr(text);
  if (network) return network;
  throw new IdentityError(
    'identity.local-network',
    `Expected a local network as CIDR, came ${JSON.stringify(text.slice(0, 80))}. Write for instance 10.0.0.0/16 or 2001:db8::/56.`,
  );
}
