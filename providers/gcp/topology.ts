import { type TagOptions, withTags } from '../../src/discovery/tag-options.ts';
import type { AddressMapping, Claim, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import { normalizeHost } from '../../src/net/address.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import type { ApiInstance, ApiInterface } from './api-answer.ts';
import type { ToldInterface } from './told.ts';

/**
 * Nothing translates an address on the way to a private one: the VPC network, its peers and what hangs on its VPNs
 * all see the internal address. The metadata server names no subnet but the interface's own.
 */
const PRIVATE_NETWORKS: readonly string[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
];

/** Each interface joined with what the API says of it, if it was asked, and with the operating system. */
export function topologyOf(
  told: readonly ToldInterface[],
  osInterfaces: readonly OsInterface[],
  api: ApiInstance | undefined,
  attributes: TagOptions,
  notes: readonly string[] = [],
): Topology {
  const interfaces = told.map((nic) =>
    joined(
      nic,
      osInterfaces,
      api?.interfaces.find((other) => isSame(nic, other)),
      api !== undefined,
    ),
  );
  const subnets = interfaces.flatMap((nic) => nic.subnets);
  const topology: Topology = {
    provider: 'gcp',
    interfaces,
    localNetworks: [...new Set([...subnets, ...PRIVATE_NETWORKS])],
    ...(notes.length > 0 && { notes }),
  };
  return withTags(topology, attributes);
}

/** What the API alone says, for a machine whose metadata server is out of reach. */
export function toldByApi(
  { interfaces }: ApiInstance,
  osInterfaces: readonly OsInterface[],
): ToldInterface[] {
  return interfaces.map((nic) => {
    const owner = osInterfaces.find(
      (device) =>
        !device.internal &&
        device.addresses.some(({ address }) => [nic.address, ...nic.ipv6s].includes(normalizeHost(address))),
    );
    return {
      name: nic.name,
      mac: owner?.mac ?? '00:00:00:00:00:00',
      ...(nic.address !== undefined && { address: nic.address }),
      // Left to the join, which knows that it is the API's word.
      externalTold: false,
      ipv6s: nic.ipv6s,
      aliases: nic.aliases,
      forwarded: [],
    };
  });
}

function joined(
  nic: ToldInterface,
  osInterfaces: readonly OsInterface[],
  api: ApiInterface | undefined,
  apiAsked: boolean,
): NetworkInterface {
  const device = deviceOf(nic, osInterfaces);
  const primary = nic.address === undefined ? [] : [primaryMapping(nic, nic.address, api, apiAsked)];
  const bare = [
    ...nic.ipv6s.flatMap((range) => ownedIn(range, device, osInterfaces, true)),
    ...nic.aliases.flatMap((range) => ownedIn(range, device, osInterfaces, false)),
    ...nic.forwarded.flatMap((range) => ownedIn(range, device, osInterfaces, true)),
  ].filter((address) => address !== nic.address);
  return {
    mac: nic.mac,
    ...(device && { osName: device.name }),
    id: nic.name,
    addresses: [
      ...primary,
      ...[...new Set(bare)].map(
        (address): AddressMapping => ({ privateAddress: address, provenance: 'imds' }),
      ),
    ],
    subnets: nic.subnet === undefined ? [] : [nic.subnet],
    ...(nic.mtu !== undefined && { mtu: nic.mtu }),
  };
}

/** The metadata server goes first where it says something; the API's other word is shown beside it. */
function primaryMapping(
  { external, externalTold }: ToldInterface,
  privateAddress: string,
  api: ApiInterface | undefined,
  apiAsked: boolean,
): AddressMapping {
  const claim = (provenance: Claim['provenance'], publicAddress: string | undefined): Claim => ({
    provenance,
    ...(publicAddress !== undefined && { publicAddress }),
  });
  if (external !== undefined) {
    const differs = api !== undefined && api.external !== external;
    return {
      privateAddress,
      ...claim('imds', external),
      ...(differs && { disagreements: [claim('api', api.external)] }),
    };
  }
  if (api?.external !== undefined) {
    return {
      privateAddress,
      ...claim('api', api.external),
      ...(externalTold && { disagreements: [claim('imds', undefined)] }),
    };
  }
  if (externalTold) return { privateAddress, provenance: 'imds' };
  return api && apiAsked
    ? { privateAddress, provenance: 'api' }
    : { privateAddress, provenance: 'imds', publicUnknown: true };
}

/** The API's interfaces have no MAC: the internal address says which it is, the name where there is none. */
function isSame(nic: ToldInterface, other: ApiInterface): boolean {
  return nic.address === undefined ? nic.name === other.name : nic.address === other.address;
}

/** VLANs and bridges share the MAC of their parent: the one that has the interface's address wins. */
function deviceOf(
  { mac, address, ipv6s }: ToldInterface,
  osInterfaces: readonly OsInterface[],
): OsInterface | undefined {
  const sameMac = osInterfaces.filter((device) => device.mac === mac && !device.internal);
  const known = [address, ...ipv6s];
  return (
    sameMac.find((device) => device.addresses.some((own) => known.includes(normalizeHost(own.address)))) ??
    sameMac[0]
  );
}

/**
 * Of a range those addresses that the operating system has, on the interface itself or as local routes, which is
 * how Google's guest agent takes up aliases and forwarding rules. What a container bridge has is not the machine's.
 * A single address counts in any case where `evenUnowned`: it belongs to the machine whatever the system knows.
 */
function ownedIn(
  range: string,
  device: OsInterface | undefined,
  osInterfaces: readonly OsInterface[],
  evenUnowned: boolean,
): string[] {
  if (evenUnowned && !range.includes('/')) return [range];
  const cidr = parseCidr(range);
  return osInterfaces
    .filter((other) => other === device || other.internal)
    .flatMap((other) => other.addresses.map(({ address }) => normalizeHost(address)))
    .filter((address) => cidr?.contains(address));
}
