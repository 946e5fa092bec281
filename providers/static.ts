import { DiscoveryError, quoted } from '../src/discovery/discovery-error.ts';
import { privateSubnets, subnetOf } from '../src/discovery/os-topology.ts';
import { pollTopology } from '../src/discovery/poll-topology.ts';
import type { DiscoveryContext, Provider } from '../src/discovery/provider.ts';
import type { AddressMapping, NetworkInterface, Topology } from '../src/discovery/topology.ts';
import { familyOf, isUnspecified, normalizeHost } from '../src/net/address.ts';
import { parseCidr } from '../src/net/cidr.ts';
import type { OsInterface } from '../src/net/os-interfaces.ts';

const EXAMPLE = 'static: { addresses: [{ private: 10.0.0.15, public: 203.0.113.5 }] }';

/** The mapping as the configuration tells it, for clouds that no provider knows and for NATs at home. */
export const staticMapping: Provider = {
  name: 'static',
  detect: () => false,
  // Async, so that a wrong configuration rejects like any other failure.
  discover: async (context) => readTopology(context),
  // The mapping changes only when the configuration does, but the machine's own addresses come and go.
  watch(context, changed, signal, known) {
    const discover = async (now: DiscoveryContext): Promise<Topology> => readTopology(now);
    void pollTopology({ provider: 'static', discover, context, changed, signal, known });
  },
};

function readTopology({ configuration, facts }: DiscoveryContext): Topology {
  const section = recordAt('static', configuration, ['addresses', 'localNetworks']);
  const list = section['addresses'];
  if (!Array.isArray(list) || list.length === 0)
    throw wrong('static.addresses', 'a list of one or more', list);
  const mappings = list.map((entry: unknown, index) => readMapping(`static.addresses[${index}]`, entry));
  refuseTwice(
    'private',
    mappings.map((mapping) => mapping.privateAddress),
  );
  refuseTwice(
    'public',
    mappings.map((mapping) => mapping.publicAddress),
  );
  const owners = new Map<OsInterface | undefined, AddressMapping[]>();
  for (const mapping of mappings) {
    const owner = facts.interfaces.find((device) => owns(device, mapping));
    owners.set(owner, [...(owners.get(owner) ?? []), mapping]);
  }
  const joined = [...owners.keys()].filter((device) => device !== undefined);
  return {
    provider: 'static',
    interfaces: [...owners].map(([device, addresses]) => readInterface(device, addresses)),
    localNetworks: readNetworks(section['localNetworks']) ?? privateSubnets(joined),
  };
}

function readMapping(at: string, entry: unknown): AddressMapping {
  const record = recordAt(at, entry, ['private', 'public']);
  const privateAddress = addressAt(`${at}.private`, record['private']);
  if (record['public'] === undefined || record['public'] === null) {
    return { privateAddress, provenance: 'config' };
  }
  const publicAddress = addressAt(`${at}.public`, record['public']);
  if (familyOf(publicAddress) !== familyOf(privateAddress)) {
    throw wrong(`${at}.public`, `an address of the same family as ${privateAddress}`, record['public']);
  }
  // The same address twice says only that nothing stands in front of it.
  if (publicAddress === privateAddress) return { privateAddress, provenance: 'config' };
  return { privateAddress, publicAddress, provenance: 'config' };
}

function readNetworks(value: unknown): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value))
    throw wrong('static.localNetworks', 'a list of CIDRs such as 10.0.0.0/16', value);
  return value.map((entry: unknown, index) => {
    if (typeof entry === 'string' && parseCidr(entry)) return entry.trim();
    throw wrong(`static.localNetworks[${index}]`, 'a CIDR such as 10.0.0.0/16', entry);
  });
}

function readInterface(device: OsInterface | undefined, addresses: AddressMapping[]): NetworkInterface {
  if (!device) return { mac: '00:00:00:00:00:00', addresses, subnets: [] };
  const known = new Set(addresses.map((mapping) => mapping.privateAddress));
  const own = device.addresses.filter(({ address }) => known.has(normalizeHost(address)));
  return { mac: device.mac, osName: device.name, addresses, subnets: [...new Set(own.map(subnetOf))] };
}

function owns(device: OsInterface, mapping: AddressMapping): boolean {
  return device.addresses.some(({ address }) => normalizeHost(address) === mapping.privateAddress);
}

function addressAt(at: string, value: unknown): string {
  if (typeof value === 'string' && familyOf(value) && !isUnspecified(value)) return normalizeHost(value);
  throw wrong(at, 'a numeric IP address (a name goes after --advertise)', value);
}

function recordAt(at: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(at, 'a mapping', value);
  const strange = Object.keys(value).find((key) => !known.includes(key));
  if (strange === undefined) return value as Record<string, unknown>;
  throw new DiscoveryError(
    'discovery.configuration',
    `${at}: unknown key ${quoted(strange)}. Known ones: ${known.join(', ')}. Write for instance ${EXAMPLE}.`,
  );
}

function refuseTwice(what: string, addresses: readonly (string | undefined)[]): void {
  const twice = addresses.find((address, index) => address && addresses.indexOf(address) !== index);
  if (twice === undefined) return;
  throw new DiscoveryError(
    'discovery.configuration',
    `static.addresses: the ${what} address ${twice} stands in two entries. The mapping is one to one: write it once.`,
  );
}

function wrong(at: string, expected: string, came: unknown): DiscoveryError {
  const shown = came === undefined ? 'nothing' : (JSON.stringify(came) ?? typeof came).slice(0, 60);
  return new DiscoveryError(
    'discovery.configuration',
    `${at}: expected ${expected}, came ${shown}. Write for instance ${EXAMPLE}.`,
  );
}
