import type { Finding } from '../discovery/finding.ts';
import type { Topology } from '../discovery/topology.ts';
import { CloudsipError } from '../error.ts';
import { type Family, familyOf, normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import { parseCidr } from '../net/cidr.ts';
import { nthAddress } from '../net/nth-address.ts';
import type { Route } from '../net/routes.ts';
import type { Patient } from './patient.ts';
import { routingRemedy } from './routing-remedy.ts';

const check = 'source-routing';
/** Only a direction: nothing is sent there. A root name server, so that no machine has it in a network of its own. */
const internet: Readonly<Record<Family, string>> = { ipv4: '198.41.0.4', ipv6: '2001:503:ba3e::2:30' };

/** An address of this machine on the interface that has it. */
export interface OwnAddress {
  readonly address: string;
  readonly family: Family;
  readonly device: string;
  readonly prefixLength: number;
  readonly publicAddress?: string;
}

/**
 * Whether an answer leaves by the interface of its source address. The classic of two interfaces: all answers
 * leave by the first, and the cloud drops those of the second there.
 */
export function checkSourceRouting(patient: Patient): Finding[] {
  const { topology } = patient;
  if (!topology) return [];
  const own = ownAddresses(patient);
  try {
    return own.flatMap((address) => checkAddress(address, own, topology, patient));
  } catch (error) {
    if (!(error instanceof CloudsipError)) throw error;
    const evidence = `The kernel could not be asked for its routes: ${error.message}`;
    return [{ check, verdict: 'skip', evidence }];
  }
}

/** The addresses of the topology that the operating system has, in its order. */
export function ownAddresses({ topology, context }: Pick<Patient, 'topology' | 'context'>): OwnAddress[] {
  const devices = new Map(
    context.facts.interfaces.flatMap((nic) =>
      nic.addresses.map(
        (each) =>
          [normalizeHost(each.address), { ...each, device: nic.name, internal: nic.internal }] as const,
      ),
    ),
  );
  return (topology?.interfaces ?? []).flatMap((nic) =>
    nic.addresses.flatMap(({ privateAddress, publicAddress }): OwnAddress[] => {
      const found = devices.get(normalizeHost(privateAddress));
      if (!found || scopeOf(privateAddress) === 'loopback') return [];
      const { address, family, prefixLength } = found;
      // What the machine has by a route of the type local, it has on no interface: the cloud says where it arrives.
      const device = found.internal ? (nic.osName ?? found.device) : found.device;
      return [
        { address, family, device, prefixLength, ...(publicAddress !== undefined && { publicAddress }) },
      ];
    }),
  );
}

function checkAddress(
  own: OwnAddress,
  all: readonly OwnAddress[],
  topology: Topology,
  { machine }: Patient,
): Finding[] {
  const { address, family, device } = own;
  const reachable = own.publicAddress !== undefined || scopeOf(address) === 'public';
  const out = machine.routeFrom(address, internet[family]);
  const remedy = (): string => routingRemedy(own, all, topology, machine);
  if (reachable && out?.device !== device) {
    return [
      {
        check,
        subject: address,
        verdict: 'fail',
        evidence: out
          ? `Answers from ${address} (${device}) to the internet leave by ${way(out)}: the cloud drops what leaves by an interface that does not have its source address.`
          : `Answers from ${address} (${device}) to the internet have no route.`,
        remedy: remedy(),
      },
    ];
  }
  const astray = neighbours(own, all, topology).flatMap(({ network, neighbour }) => {
    const route = machine.routeFrom(address, neighbour);
    return route?.device === device ? [] : [{ network, route }];
  });
  if (astray.length > 0) {
    const told = astray.map(({ network, route }) => `${network} by ${route ? way(route) : 'no route'}`);
    return [
      {
        check,
        subject: address,
        verdict: 'warn',
        evidence: `Answers from ${address} (${device}) to neighbours leave by another interface: to ${told.join(', to ')}. The cloud drops those.`,
        remedy: remedy(),
      },
    ];
  }
  const evidence = out
    ? `Answers from ${address} leave by ${way(out)}, where it belongs.`
    : `Answers from ${address} to its neighbours leave by ${device}, where it belongs; to the internet it has no route and no public address.`;
  return [{ check, subject: address, verdict: 'pass', evidence }];
}

/** One host in each network of the other interfaces. */
function neighbours(
  own: OwnAddress,
  all: readonly OwnAddress[],
  topology: Topology,
): { network: string; neighbour: string }[] {
  const taken = new Set(all.map(({ address }) => normalizeHost(address)));
  const near = new Set(
    topology.interfaces
      .filter((nic) =>
        nic.addresses.some(({ privateAddress }) => normalizeHost(privateAddress) === own.address),
      )
      .flatMap(({ subnets }) => subnets),
  );
  const networks = new Set(topology.interfaces.flatMap(({ subnets }) => subnets));
  return [...networks].flatMap((network) => {
    const base = network.split('/')[0]!;
    if (near.has(network) || familyOf(base) !== own.family || !parseCidr(network)) return [];
    // The first hosts: one of them is not ourselves.
    const neighbour = [1, 2, 3, 4].map((n) => nthAddress(base, n)).find((host) => !taken.has(host));
    return neighbour === undefined ? [] : [{ network, neighbour }];
  });
}

function way({ device, gateway, table }: Route): string {
  const tableName = { 253: 'default', 254: 'main', 255: 'local' }[table] ?? table;
  return `${device}${gateway === undefined ? '' : ` via ${gateway}`} (table ${tableName})`;
}
