import { familyOf, normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { OsInterface } from '../net/os-interfaces.ts';
import { subnetOf } from './os-topology.ts';
import type { AddressMapping, NetworkInterface } from './topology.ts';

/** An interface as the cloud tells of it. Some clouds tell no MAC: then the addresses have to do. */
export interface ToldInterface extends Omit<NetworkInterface, 'mac' | 'osName'> {
  readonly mac?: string;
}

const NO_MAC = '00:00:00:00:00:00';

/**
 * Gives each interface the operating system's name: by MAC and, since VLANs, bonds and macvlans share their
 * parent's, by the addresses among those of one MAC; by the addresses alone where the cloud tells no MAC.
 */
export function joinOsInterfaces(
  told: readonly ToldInterface[],
  osInterfaces: readonly OsInterface[],
): NetworkInterface[] {
  const outward = osInterfaces.filter((device) => !device.internal);
  const byAddress = told.map((nic) =>
    outward.find(
      (device) =>
        (nic.mac === undefined || nic.mac === device.mac) &&
        nic.addresses.some(({ privateAddress }) => owns(device, privateAddress)),
    ),
  );
  // What is found by its addresses is taken: what is left over by its MAC must not get it too.
  const taken = new Set(byAddress);
  return told.map(({ mac, ...nic }, index) => {
    const device = byAddress[index] ?? outward.find((each) => each.mac === mac && !taken.has(each));
    taken.add(device);
    return { mac: mac ?? device?.mac ?? NO_MAC, ...(device && { osName: device.name }), ...nic };
  });
}

/** For clouds that tell addresses and no interfaces: one interface for each that has some of them. */
export function groupByOwner(
  mappings: readonly AddressMapping[],
  osInterfaces: readonly OsInterface[],
): NetworkInterface[] {
  const groups = new Map<OsInterface | undefined, AddressMapping[]>();
  for (const mapping of mappings) {
    const owner = osInterfaces.find((device) => owns(device, mapping.privateAddress));
    groups.set(owner, [...(groups.get(owner) ?? []), mapping]);
  }
  return [...groups].map(([device, addresses]) => ({
    mac: device?.mac ?? NO_MAC,
    ...(device && { osName: device.name }),
    addresses,
    subnets: subnetsOnDevice(addresses, device),
  }));
}

/** For clouds that tell addresses without their networks: the operating system knows those. */
export function withOsSubnets(nic: NetworkInterface, osInterfaces: readonly OsInterface[]): NetworkInterface {
  const device = osInterfaces.find(({ name }) => name === nic.osName);
  return { ...nic, subnets: subnetsOnDevice(nic.addresses, device) };
}

function subnetsOnDevice(addresses: readonly AddressMapping[], device: OsInterface | undefined): string[] {
  const known = new Set(addresses.map(({ privateAddress }) => privateAddress));
  const own = (device?.addresses ?? []).filter(({ address }) => known.has(normalizeHost(address)));
  return [...new Set(own.map(subnetOf))];
}

/**
 * Adds what the operating system has on this interface and the cloud does not tell, as far as `mappingOf` wants
 * it. Link-local addresses are never asked about.
 */
export function withOsAddresses(
  nic: NetworkInterface,
  osInterfaces: readonly OsInterface[],
  mappingOf: (address: string) => AddressMapping | undefined,
): NetworkInterface {
  const device = osInterfaces.find(({ name }) => name === nic.osName);
  const known = new Set(nic.addresses.map(({ privateAddress }) => privateAddress));
  const more = (device?.addresses ?? []).flatMap((own) => {
    const address = normalizeHost(own.address);
    if (known.has(address) || scopeOf(address) === 'link-local') return [];
    const mapping = mappingOf(address);
    return mapping ? [{ mapping, subnet: subnetOf(own) }] : [];
  });
  if (more.length === 0) return nic;
  return {
    ...nic,
    addresses: [...nic.addresses, ...more.map(({ mapping }) => mapping)],
    subnets: [...new Set([...nic.subnets, ...more.map(({ subnet }) => subnet)])],
  };
}

/**
 * Adds the public addresses that a person configured here (a floating one, say): they are reached as they are. Not
 * those of IPv6, where the machine makes up addresses by itself and throws them away again (RFC 8981).
 */
export function withOwnPublicAddresses(
  interfaces: readonly NetworkInterface[],
  osInterfaces: readonly OsInterface[],
): NetworkInterface[] {
  return interfaces.map((nic) =>
    withOsAddresses(nic, osInterfaces, (address) => {
      const isOurs = familyOf(address) === 'ipv4' && scopeOf(address) === 'public';
      return isOurs ? { privateAddress: address, provenance: 'os' } : undefined;
    }),
  );
}

export function isOwned(osInterfaces: readonly OsInterface[], address: string): boolean {
  return osInterfaces.some((device) => owns(device, address));
}

function owns(device: OsInterface, address: string): boolean {
  return device.addresses.some((own) => normalizeHost(own.address) === address);
}
