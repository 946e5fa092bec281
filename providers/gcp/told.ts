import { garbled } from '../../src/discovery/checked-values.ts';
import { quoted } from '../../src/discovery/discovery-error.ts';
import { type MetadataNode, readJson } from '../../src/discovery/metadata-node.ts';
import { subnetOf } from '../../src/discovery/os-topology.ts';
import { familyOf, isUnspecified, normalizeHost } from '../../src/net/address.ts';
import { parseCidr } from '../../src/net/cidr.ts';

/** A network interface as the metadata server tells of it. */
export interface ToldInterface {
  /** `nic0`: the name that the API has for it, by its place in the list. */
  readonly name: string;
  readonly mac: string;
  /** The primary internal address; absent on an IPv6-only interface. */
  readonly address?: string;
  /** The external address in front of `address`. */
  readonly external?: string;
  /** False where nothing is said of access configs at all: then `external` is absent because it is not known. */
  readonly externalTold: boolean;
  readonly ipv6s: readonly string[];
  /** Addresses or CIDRs that are routed to the interface as they are: no NAT stands in front. */
  readonly aliases: readonly string[];
  /** Of forwarding rules and target instances: the packets keep that destination, so the machine owns it. */
  readonly forwarded: readonly string[];
  readonly subnet?: string;
  readonly mtu?: number;
}

const FORWARDED = ['forwardedIps', 'targetInstanceIps', 'forwardedIpv6s', 'targetInstanceIpv6s'] as const;

/** Reads the answer to `instance/network-interfaces/?recursive=true`. No number in it is an identifier. */
export function readInterfaces(text: string, url: string): ToldInterface[] {
  const list = readJson(text, url).items();
  if (list.length === 0) throw garbled(url, 'one network interface at least', 'none');
  return list.map(readInterface);
}

function readInterface(nic: MetadataNode, index: number): ToldInterface {
  const mac = nic.get('mac').mac();
  if (mac === undefined) throw garbled(nic.get('mac').at, 'a MAC address', 'nothing');
  const address = ipv4At(nic.get('ip'));
  const configs = nic.get('accessConfigs');
  // "An interface can have one access config" for IPv4: the first that has an address counts.
  const external = configs
    .items()
    .map((config) => ipv4At(config.get('externalIp')))
    .find((found) => found);
  const prefixLength = nic.get('subnetmask').netmask();
  const mtu = nic.get('mtu').wholeNumber();
  const ranges = (key: string): string[] => nic.get(key).items().flatMap(rangeAt);
  return {
    name: `nic${index}`,
    mac,
    ...(address !== undefined && { address }),
    ...(external !== undefined && { external }),
    externalTold: !configs.absent,
    ipv6s: ranges('ipv6s'),
    aliases: ranges('ipAliases'),
    forwarded: [...new Set(FORWARDED.flatMap(ranges))],
    ...(address !== undefined &&
      prefixLength !== undefined && { subnet: subnetOf({ address, prefixLength, family: 'ipv4' }) }),
    ...(mtu !== undefined && { mtu }),
  };
}

function ipv4At(node: MetadataNode): string | undefined {
  const address = node.address();
  if (address === undefined || familyOf(address) === 'ipv4') return address;
  throw garbled(node.at, 'an IPv4 address', quoted(address));
}

/** An address or a CIDR; one of a single address is that address. */
function rangeAt(node: MetadataNode): string[] {
  const text = node.text();
  if (text === undefined) return [];
  if (!parseCidr(text) || isUnspecified(text)) {
    throw garbled(node.at, 'an address or a range such as 10.1.0.0/24', quoted(text));
  }
  const [address = '', prefix] = text.split('/');
  const width = familyOf(address) === 'ipv4' ? 32 : 128;
  const normal = normalizeHost(address);
  return [prefix === undefined || Number(prefix) === width ? normal : `${normal}/${prefix}`];
}
