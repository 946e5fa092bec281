import type { Configuration } from '../cli/configuration.ts';
import { stunServers } from '../discovery/stun-server.ts';
import type { StunSocket } from '../discovery/stun-socket.ts';
import { unknownAddresses } from '../discovery/stun-topology.ts';
import type { Topology } from '../discovery/topology.ts';
import type { Identity } from '../identity/identity.ts';
import { diffListeners, type ListenerDiff } from '../identity/listener-diff.ts';
import {
  type ListenerPlan,
  type ListenOptions,
  planListeners,
  subnetsByAddress,
} from '../identity/listener-plan.ts';
import type { MediaRelay } from '../media/media-contract.ts';
import { formatEndpoint, normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import { type Listener, listenerKey, servedTransports } from '../net/listener.ts';
import type { OsInterface } from '../net/os-interfaces.ts';
import type { Transport } from '../sip/transport/transport.ts';
import type { BoundSocket, BoundStun, StunOccasion } from './bound-stun.ts';
import type { Failure, ListenerSet } from './listener-set.ts';
import { relaySettings } from './start-relay.ts';

/** What follows a topology. */
export interface Followers {
  readonly listeners: ListenerSet;
  readonly identity: Identity;
  readonly relay: MediaRelay | undefined;
  readonly stun: BoundStun;
}

export interface Wanted {
  readonly topology: Topology;
  readonly configuration: Configuration;
  /** The machine as it is now. */
  readonly interfaces: readonly OsInterface[];
  /** True at the start: then everything has to be as it was asked for. */
  readonly strict: boolean;
  readonly occasion: StunOccasion;
}

/** What became of it, in words for a log line. */
export interface Applied {
  /** With what STUN saw. */
  readonly topology: Topology;
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
 * the difference from nothing. A listener of which the cloud cannot tell what stands in front is bound, asks STUN
 * from its own socket and only then serves: meanwhile nobody is told its private address in place of a public one.
 * Rejects before anything has changed; where `strict`, also when a socket cannot be opened.
 */
export async function applyTopology(followers: Followers, wanted: Wanted): Promise<Applied> {
  const { listeners, identity, relay, stun } = followers;
  const { configuration, interfaces, strict } = wanted;
  const running = listeners.listeners;
  const first = planFor(wanted.topology, wanted);
  // What can fail comes first: then nothing else has changed yet.
  relay?.configure(relaySettings(configuration));
  identity.rename(configuration);
  stun.use(stunServers(configuration.stun));
  identify(followers, wanted);
  const difference = diffListeners(running, first.listeners);
  const named = await serveNamed(followers, wanted, difference);
  if (strict && named.failures[0]) throw named.failures[0].error;
  const asked = await serveUnnamed(followers, wanted, first, difference);
  if (strict && asked.failures[0]) throw asked.failures[0].error;
  const { topology, plan } = asked;
  const { readvertised, retired } = diffListeners(running, plan.listeners);
  listeners.readvertise({ readvertised });
  const present = new Set(addressesOf(interfaces).map(normalizeHost));
  await listeners.retire(retired, (address) => present.has(address) || scopeOf(address) === 'loopback');
  tell(followers, wanted);
  const failures = [...named.failures, ...asked.failures];
  const failed = new Set(failures.map(({ listener }) => listener));
  return {
    topology,
    added: [...named.added, ...asked.added].filter((listener) => !failed.has(listener)).map(inWords),
    readvertised: [...named.readvertised, ...readvertised].map(({ running: listener }) => inWords(listener)),
    retired: retired.map(inWords),
    failures,
    warnings: plan.warnings,
    incomplete: plan.incomplete,
  };
}

function planFor(topology: Topology, { configuration, interfaces, strict }: Wanted): ListenerPlan {
  const { listen, advertise } = configuration;
  const options: ListenOptions = {
    listen,
    ...(advertise !== undefined && { advertise }),
    transports: servedTransports,
    missing: strict ? 'refuse' : 'leave-out',
  };
  return planListeners(topology, options, addressesOf(interfaces));
}

function addressesOf(interfaces: readonly OsInterface[]): string[] {
  return interfaces.flatMap((nic) => nic.addresses.map(({ address }) => address));
}

/** Before the next await: a message that comes now must find out who we are. */
function identify({ identity, listeners }: Followers, { topology, configuration }: Wanted): void {
  const localNetworks = [...topology.localNetworks, ...configuration.localNetworks];
  identity.update(listeners.listeners, localNetworks, subnetsByAddress(topology), listeners.retiring);
}

function tell(followers: Followers, wanted: Wanted): void {
  const { listeners, identity, relay } = followers;
  identify(followers, wanted);
  // No SDP makes the relay send to SIP, by whatever name.
  relay?.protect(
    [...listeners.listeners, ...listeners.retiring].flatMap(({ bound, advertised }) =>
      advertised ? [bound, advertised] : [bound],
    ),
  );
  relay?.follow(identity.places);
}

/** Who hangs on STUN keeps the name of before until it has answered; the others wait for nobody. */
async function serveNamed(followers: Followers, wanted: Wanted, difference: ListenerDiff) {
  const { listeners } = followers;
  const isUnnamed = unnamedIn(wanted.topology);
  const added = difference.added.filter((listener) => !isUnnamed(listener));
  const readvertised = difference.readvertised.filter(
    ({ running: { bound }, advertised }) => !isUnnamed({ bound, advertised }),
  );
  const failures = await listeners.add(added, () => identify(followers, wanted));
  if (readvertised.length > 0) {
    listeners.readvertise({ readvertised });
    tell(followers, wanted);
  }
  return { added, readvertised, failures };
}

/** Binds the sockets whose name nobody has told, has STUN asked from them, and serves there. */
async function serveUnnamed(
  followers: Followers,
  wanted: Wanted,
  first: ListenerPlan,
  difference: ListenerDiff,
) {
  const { listeners, stun } = followers;
  const { topology: told, occasion } = wanted;
  const unnamed = difference.added.filter(unnamedIn(told));
  try {
    const held = await listeners.hold(unnamed);
    const topology = await stun.see(told, boundSockets(first.listeners, held, listeners), occasion);
    const plan = topology === told ? first : planFor(topology, wanted);
    // The same listeners in the same order: nothing has changed but the names of some.
    const added = plan.listeners.filter((_, index) => unnamed.includes(first.listeners[index]!));
    const failures = await listeners.add(added, () => identify(followers, wanted));
    return { topology, plan, added, failures };
  } finally {
    await listeners.release();
  }
}

/** Those for which nobody wrote a name, and of which the cloud cannot tell whether there is one. */
function unnamedIn(topology: Topology): (listener: Pick<Listener, 'bound' | 'advertised'>) => boolean {
  const unknown = new Set(unknownAddresses(topology).map(normalizeHost));
  return ({ bound, advertised }) => advertised === undefined && unknown.has(bound.address);
}

function boundSockets(
  planned: readonly Listener[],
  held: ReadonlyMap<Listener, Transport>,
  listeners: ListenerSet,
): BoundSocket[] {
  return planned.flatMap((listener) => {
    const transport = held.get(listener) ?? listeners.transportOf(listener);
    if (transport?.listener.transport !== 'udp') return [];
    const key = listenerKey(transport.listener);
    return [{ key, socket: stunSocket(transport), written: listener.advertised?.address }];
  });
}

/** A message travels as a string of bytes, so STUN can go the same way. */
function stunSocket(transport: Transport): StunSocket {
  return {
    local: transport.listener.bound,
    send: (message, to) => transport.send(message.toString('latin1'), to),
    hear(take) {
      transport.onStun = take;
      return () => {
        transport.onStun = undefined;
      };
    },
    close: () => {},
  };
}

function inWords(listener: Listener): string {
  const { advertised } = listener;
  return advertised ? `${listenerKey(listener)} as ${formatEndpoint(advertised)}` : listenerKey(listener);
}
