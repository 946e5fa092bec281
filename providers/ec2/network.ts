import {
  checkedAddress,
  checkedMac,
  checkedNetwork,
  garbled,
  linesOf,
} from '../../src/discovery/checked-values.ts';
import { quoted } from '../../src/discovery/discovery-error.ts';
import type { AddressMapping, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import type { Imds } from './imds.ts';
import { osNameOf } from './os-name.ts';

/** More than any instance type has. */
const MAX_INTERFACES = 256;

const MACS = 'network/interfaces/macs/';

interface RankedInterface {
  readonly nic: NetworkInterface;
  readonly localNetworks: readonly string[];
  /** The account that the interface belongs to. */
  readonly owner: string | undefined;
  readonly rank: readonly [primary: number, card: number, device: number];
}

/** Reads every network interface of the instance (EC2 user guide, "Instance metadata categories"). */
export async function readNetwork(imds: Imds, osInterfaces: readonly OsInterface[]): Promise<Topology> {
  const [primaryMac, list] = await Promise.all([imds.get('mac'), imds.get(MACS)]);
  const macs = linesOf(list, imds.url(MACS)).map((line) => checkedMac(line, imds.url(MACS)));
  if (macs.length === 0 || macs.length > MAX_INTERFACES) {
    throw garbled(imds.url(MACS), `1 to ${MAX_INTERFACES} network interfaces`, `${macs.length} of them`);
  }
  const primary = primaryMac?.trim().toLowerCase();
  const read = await Promise.all(macs.map((mac) => readInterface(imds, mac, mac === primary, osInterfaces)));
  const ranked = read.filter((entry) => entry !== undefined).sort(byRank);
  return {
    provider: 'ec2',
    interfaces: ranked.map((entry) => entry.nic),
    localNetworks: [...new Set(ranked.flatMap((entry) => entry.localNetworks))],
    ...foreignOwners(ranked),
  };
}

/** An interface of another account is used like any other, but the API of this account knows nothing of it. */
function foreignOwners([primary, ...others]: readonly RankedInterface[]): Pick<Topology, 'notes'> {
  const foreign = others.filter(({ owner }) => primary?.owner && owner && owner !== primary.owner);
  if (foreign.length === 0) return {};
  return {
    notes: foreign.map(
      ({ nic, owner }) =>
        `The interface ${quoted(nic.id ?? nic.mac)} belongs to the account ${quoted(owner!)}: its groups and routes cannot be examined with this account's rights.`,
    ),
  };
}

/** Undefined where the interface was detached while we were reading. */
async function readInterface(
  imds: Imds,
  mac: string,
  primary: boolean,
  osInterfaces: readonly OsInterface[],
): Promise<RankedInterface | undefined> {
  const directory = `${MACS}${mac}/`;
  const listing = await imds.get(directory);
  if (listing === undefined) return undefined;
  // Only what is listed is asked for. Some recordings spell keys with underscores where the guide has hyphens.
  const keys = new Map(
    linesOf(listing, imds.url(directory)).map((line) => [line.replaceAll('_', '-'), line]),
  );
  const value = async (name: string): Promise<string | undefined> => {
    const key = keys.get(name);
    return key === undefined ? undefined : imds.get(directory + key);
  };
  const valid = async (name: string, kind: Kind): Promise<string[]> => {
    const url = imds.url(directory + name);
    return linesOf(await value(name), url).map((line) => checked(line, kind, url));
  };

  const [id, owner, card, cardIndex, device, privates, publics, ipv6s, associations] = await Promise.all([
    value('interface-id'),
    value('owner-id'),
    // `network-card` on real machines, `network-card-index` in the guide.
    value('network-card'),
    value('network-card-index'),
    value('device-number'),
    valid('local-ipv4s', 'IPv4 address'),
    valid('public-ipv4s', 'IPv4 address'),
    valid('ipv6s', 'IPv6 address'),
    readAssociations(imds, directory, keys.has('ipv4-associations')),
  ]);
  const [subnet4, subnet6, vpc4, vpc4s, vpc6s] = await Promise.all([
    valid('subnet-ipv4-cidr-block', 'CIDR'),
    valid('subnet-ipv6-cidr-blocks', 'CIDR'),
    valid('vpc-ipv4-cidr-block', 'CIDR'),
    valid('vpc-ipv4-cidr-blocks', 'CIDR'),
    valid('vpc-ipv6-cidr-blocks', 'CIDR'),
  ]);

  // Some imitations associate the public address with itself.
  if (privates.length > 0) {
    for (const address of associations.keys()) if (!privates.includes(address)) associations.delete(address);
  }
  // Without associations (some imitations have none) only a single pair leaves no doubt about what maps to what.
  if (associations.size === 0 && privates.length === 1 && publics.length === 1) {
    associations.set(privates[0]!, publics[0]!);
  }
  const owned = [...new Set([...privates, ...associations.keys()])];
  const addresses = [
    ...owned.map((address): AddressMapping => mapping(address, associations.get(address))),
    ...ipv6s.map((address): AddressMapping => mapping(address, undefined)),
  ];
  const osName = osNameOf(
    mac,
    addresses.map(({ privateAddress }) => privateAddress),
    osInterfaces,
  );
  const subnets = [...subnet4, ...subnet6];
  return {
    nic: {
      mac,
      ...(osName !== undefined && { osName }),
      ...(id !== undefined && { id: id.trim().slice(0, 64) }),
      addresses,
      subnets,
    },
    localNetworks: [...vpc4, ...vpc4s, ...vpc6s, ...subnets],
    owner: owner?.trim(),
    rank: [primary ? 0 : 1, wholeNumber(card ?? cardIndex) ?? 0, deviceRank(device, primary)],
  };
}

/** Private address → public address. A secondary private address has its own. */
async function readAssociations(
  imds: Imds,
  directory: string,
  listed: boolean,
): Promise<Map<string, string>> {
  if (!listed) return new Map();
  const path = `${directory}ipv4-associations/`;
  const url = imds.url(path);
  const publics = linesOf(await imds.get(path), url).map((line) => checked(line, 'IPv4 address', url));
  const pairs = await Promise.all(
    publics.map(async (publicAddress) => {
      const item = path + publicAddress;
      const privates = linesOf(await imds.get(item), imds.url(item));
      return privates.map((line) => [checked(line, 'IPv4 address', imds.url(item)), publicAddress] as const);
    }),
  );
  return new Map(pairs.flat());
}

function mapping(privateAddress: string, publicAddress: string | undefined): AddressMapping {
  return { privateAddress, ...(publicAddress !== undefined && { publicAddress }), provenance: 'imds' };
}

/**
 * A hot-plugged interface says device number 0 until the attachment has spread: 0 is the primary interface's
 * alone, and on another one it means "not known yet" and sorts last.
 */
function deviceRank(text: string | undefined, primary: boolean): number {
  const device = wholeNumber(text);
  return device === undefined || (device === 0 && !primary) ? Number.MAX_SAFE_INTEGER : device;
}

function byRank(a: RankedInterface, b: RankedInterface): number {
  for (const index of [0, 1, 2] as const) {
    if (a.rank[index] !== b.rank[index]) return a.rank[index] - b.rank[index];
  }
  return a.nic.mac < b.nic.mac ? -1 : 1;
}

type Kind = 'IPv4 address' | 'IPv6 address' | 'CIDR';

function checked(line: string, kind: Kind, url: string): string {
  if (kind === 'CIDR') return checkedNetwork(line, url);
  const address = checkedAddress(line, url);
  if (kind === (address.includes(':') ? 'IPv6 address' : 'IPv4 address')) return address;
  throw garbled(url, `an ${kind}`, quoted(line));
}

function wholeNumber(text: string | undefined): number | undefined {
  const trimmed = text?.trim();
  return trimmed && /^\d{1,4}$/.test(trimmed) ? Number(trimmed) : undefined;
}
