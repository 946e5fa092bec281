import type { Configuration } from '../cli/configuration.ts';
import { stunServers } from '../discovery/stun-server.ts';
import type { StunSocket } from '../discovery/stun-socket.ts';
import { unknownAddresses } from '../discovery/stun-topology.ts';
import type { Topology } from '../discovery/topology.ts';
import type { Identity } from '../identity/identity.ts';
import { diffListeners } from '../identity/listener-diff.ts';
import { planListeners, subnetsByAddress } from '../identity/listener-plan.ts';
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
export async function applyTopology(
  { listeners, identity, relay, stun }: Followers,
  { topology: told, configuration, interfaces, strict, occasion }: Wanted,
): Promise<Applied> {
  const { listen, advertise, aliases, domains } = configuration;
  const localNetworks = [...told.localNetworks, ...configuration.localNetworks];
  const subnets = subnetsByAddress(told);
  const owned = interfaces.flatMap((nic) => nic.addresses.map(({ address }) => address));
  const planOf = (topology: Topology) =>
    planListeners(
      topology,
      {
        listen,
        ...(advertise !== undefined && { advertise }),
        transports: servedTransports,
        missing: strict ? 'refuse' : 'leave-out',
      },
      owned,
    );
  // Before the next await: a message that comes now must find out who we are.
  const identify = (): void =>
    identity.update(listeners.listeners, localNetworks, subnets, listeners.retiring);
  const running = listeners.listeners;
  let plan = planOf(told);
  // What can fail comes first: then nothing else has changed yet.
  relay?.configure(relaySettings(configuration));
  identity.rename({ aliases, domains });
  stun.use(stunServers(configuration.stun));
  identify();
  const { added, readvertised: renamed } = diffListeners(running, plan.listeners);
  const isUnnamed = unnamedIn(told);
  const unnamed = new Set(added.filter(isUnnamed));
  // Who hangs on STUN keeps the name of before until it has answered; the others wait for nobody.
  const known = renamed.filter(({ running: { bound }, advertised }) => !isUnnamed({ bound, advertised }));
  const early = added.filter((listener) => !unnamed.has(listener));
  const failures = await listeners.add(early, identify);
  const tell = (): void => {
    identify();
    // No SDP makes the relay send to SIP, by whatever name.
    relay?.protect(
      [...listeners.listeners, ...listeners.retiring].flatMap(({ bound, advertised }) =>
        advertised ? [bound, advertised] : [bound],
      ),
    );
    relay?.follow(identity.places);
  };
  if (known.length > 0) {
    listeners.readvertise({ readvertised: known });
    tell();
  }
  if (strict && failures[0]) throw failures[0].error;
  let late: readonly Listener[] = [];
  let topology = told;
  try {
    const held = await listeners.hold([...unnamed]);
    topology = await stun.see(told, boundSockets(plan.listeners, held, listeners), occasion);
    // The same listeners in the same order: nothing has changed but the names of some.
    if (topology !== told) plan = planOf(topology);
    late = diffListeners(running, plan.listeners).added.filter((_, index) => unnamed.has(added[index]!));
    failures.push(...(await listeners.add(late, identify)));
  } finally {
    await listeners.release();
  }
  if (strict && failures[0]) throw failures[0].error;
  const { readvertised, retired } = diffListeners(running, plan.listeners);
  listeners.readvertise({ readvertised });
  const present = new Set(owned.map(normalizeHost));
  await listeners.retire(retired, (address) => present.has(address) || scopeOf(address) === 'loopback');
  tell();
  const failed = new Set(failures.map(({ listener }) => listener));
  return {
    topology,
    added: [...early, ...late].filter((listener) => !failed.has(listener)).map(inWords),
    readvertised: [...known, ...readvertised].map(({ running: listener }) => inWords(listener)),
    retired: retired.map(inWords),
    failures,
    warnings: plan.warnings,
    incomplete: plan.incomplete,
  };
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
