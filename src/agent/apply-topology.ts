import type { Configuration } from '../cli/configuration.ts';
import type { Topology } from '../discovery/topology.ts';
import type { Identity } from '../identity/identity.ts';
import { diffListeners } from '../identity/listener-diff.ts';
import { planListeners, subnetsByAddress } from '../identity/listener-plan.ts';
import type { MediaRelay } from '../media/media-contract.ts';
import { formatEndpoint, normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import { type Listener, listenerKey, servedTransports } from '../net/listener.ts';
import type { OsInterface } from '../net/os-interfaces.ts';
import type { Failure, ListenerSet } from './listener-set.ts';

/** What follows a topology. */
export interface Followers {
  readonly listeners: ListenerSet;
  readonly identity: Identity;
  readonly relay: MediaRelay | undefined;
}

export interface Wanted {
  readonly topology: Topology;
  readonly configuration: Configuration;
  /** The machine as it is now. */
  readonly interfaces: readonly OsInterface[];
  /** True at the start: then everything has to be as it was asked for. */
  readonly strict: boolean;
}

/** What became of it, in words for a log line. */
export interface Applied {
  readonly added: readonly string[];
  readonly readvertised: readonly string[];
  readonly retired: readonly string[];
  readonly failures: readonly Failure[];
  readonly warnings: readonly string[];
  /** True where an address of `--listen` is not there now: no cloud tells when it comes. */
  readonly incomplete: boolean;
}

/**
 * Makes the listeners what this topology and this configuration ask for, and everybody who hangs on them. Boot is
 * the difference from nothing. Rejects before anything has changed; where `strict`, also when a socket cannot be
 * opened.
 */
export async function applyTopology(
  { listeners, identity, relay }: Followers,
  { topology, configuration, interfaces, strict }: Wanted,
): Promise<Applied> {
  const { listen, advertise, aliases, domains } = configuration;
  const localNetworks = [...topology.localNetworks, ...configuration.localNetworks];
  const subnets = subnetsByAddress(topology);
  const owned = interfaces.flatMap((nic) => nic.addresses.map(({ address }) => address));
  const plan = planListeners(
    topology,
    {
      listen,
      ...(advertise !== undefined && { advertise }),
      transports: servedTransports,
      missing: strict ? 'refuse' : 'leave-out',
    },
    owned,
  );
  const { added, readvertised, retired } = diffListeners(listeners.listeners, plan.listeners);
  // Before the next await: a message that comes now must find out who we are.
  const identify = (): void =>
    identity.update(listeners.listeners, localNetworks, subnets, listeners.retiring);
  // What can fail comes first: then nothing else has changed yet.
  identity.rename({ aliases, domains });
  identify();
  const failures = await listeners.add(added, identify);
  if (strict && failures[0]) throw failures[0].error;
  listeners.readvertise({ readvertised });
  const known = new Set(owned.map(normalizeHost));
  await listeners.retire(retired, (address) => known.has(address) || scopeOf(address) === 'loopback');
  identify();
  // No SDP makes the relay send to SIP, by whatever name.
  relay?.protect(
    [...listeners.listeners, ...listeners.retiring].flatMap(({ bound, advertised }) =>
      advertised ? [bound, advertised] : [bound],
    ),
  );
  const failed = new Set(failures.map(({ listener }) => listener));
  return {
    added: added.filter((listener) => !failed.has(listener)).map(inWords),
    readvertised: readvertised.map(({ running }) => inWords(running)),
    retired: retired.map(inWords),
    failures,
    warnings: plan.warnings,
    incomplete: plan.incomplete,
  };
}

function inWords(listener: Listener): string {
  const { advertised } = listener;
  return advertised ? `${listenerKey(listener)} as ${formatEndpoint(advertised)}` : listenerKey(listener);
}
