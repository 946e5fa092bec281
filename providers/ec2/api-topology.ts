import { privateSubnets, subnetOf } from '../../src/discovery/os-topology.ts';
import type { AddressMapping, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import { familyOf, normalizeHost } from '../../src/net/address.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import type { ApiInterface } from './api-answer.ts';
import { osNameOf } from './os-name.ts';

/** The topology as the API tells it, for a machine whose metadata service is switched off. */
export function apiTopology(
  interfaces: readonly ApiInterface[],
  osInterfaces: readonly OsInterface[],
  why: string,
): Topology {
  const ordered = interfaces.toSorted(
    (a, b) => a.networkCard - b.networkCard || a.deviceIndex - b.deviceIndex || (a.mac < b.mac ? -1 : 1),
  );
  return {
    provider: 'ec2',
    interfaces: ordered.map((eni) => nicOf(eni, osInterfaces)),
    localNetworks: privateSubnets(osInterfaces),
    notes: [
      `${why} The addresses are those that the EC2 API told. The VPC's other networks are not known without metadata: name those that are reached by private addresses with --local-network.`,
    ],
  };
}

function nicOf(eni: ApiInterface, osInterfaces: readonly OsInterface[]): NetworkInterface {
  const addresses = mappingsOf(eni);
  const known = new Set(addresses.map(({ privateAddress }) => privateAddress));
  const osName = osNameOf(eni.mac, [...known], osInterfaces);
  const own = osInterfaces.flatMap((device) => device.addresses).filter(({ address }) => known.has(address));
  return {
    mac: eni.mac,
    ...(osName !== undefined && { osName }),
    ...(eni.id !== '' && { id: eni.id }),
    addresses,
    subnets: [...new Set(own.map(subnetOf))],
  };
}

/** An interface's addresses; what is no address is left out. */
export function mappingsOf(eni: ApiInterface): AddressMapping[] {
  const v4 = eni.addresses.flatMap(({ privateAddress, publicAddress }): AddressMapping[] => {
    if (familyOf(privateAddress) !== 'ipv4') return [];
    const believed = publicAddress !== undefined && familyOf(publicAddress) === 'ipv4';
    return [{ privateAddress, ...(believed && { publicAddress }), provenance: 'api' }];
  });
  const v6 = eni.ipv6s.filter((address) => familyOf(address) === 'ipv6');
  return [
    ...v4,
    ...v6.map((address): AddressMapping => ({ privateAddress: normalizeHost(address), provenance: 'api' })),
  ];
}

/**
 * Metadata with what the API says of the same private addresses. The API is the register itself and metadata its
 * copy, which may lag behind: where they differ the API counts, and what metadata says is kept as a disagreement
 * unless it `cannotTell`.
 */
export function withApi(
  topology: Topology,
  interfaces: readonly ApiInterface[],
  cannotTell: (mapping: AddressMapping) => boolean = () => false,
): Topology {
  const told = new Map(
    interfaces.flatMap(mappingsOf).map((mapping) => [mapping.privateAddress, mapping.publicAddress]),
  );
  const merged = (mapping: AddressMapping): AddressMapping => {
    const { privateAddress, publicAddress, provenance } = mapping;
    if (!told.has(privateAddress) || told.get(privateAddress) === publicAddress) return mapping;
    const now = told.get(privateAddress);
    const before = { provenance, ...(publicAddress !== undefined && { publicAddress }) };
    return {
      privateAddress,
      ...(now !== undefined && { publicAddress: now }),
      provenance: 'api',
      ...(!cannotTell(mapping) && { disagreements: [...(mapping.disagreements ?? []), before] }),
    };
  };
  return {
    ...topology,
    interfaces: topology.interfaces.map((nic) => ({ ...nic, addresses: nic.addresses.map(merged) })),
  };
}
