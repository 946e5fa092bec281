import { checkedAddress, garbled, networkOf } from '../src/discovery/checked-values.ts';
import { quoted } from '../src/discovery/discovery-error.ts';
import {
  joinOsInterfaces,
  type ToldInterface,
  withOwnPublicAddresses,
} from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, nodeOf } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const METADATA = '/hetzner/v1/metadata';
const NETWORK_CONFIG = `${METADATA}/network-config`;
const PRIVATE_NETWORKS = `${METADATA}/private-networks`;

/** Hetzner Cloud: public addresses stand on the first interface, each private network has one of its own. */
export const hetzner: Provider = metadataProvider({
  name: 'hetzner',
  endpoint: 'http://169.254.169.254',
  detect: machines.hetzner,
  async read(client, { facts }) {
    const [metadata, networks] = await Promise.all([
      client.get(METADATA),
      client.get(PRIVATE_NETWORKS).then((text) => readYaml(text, client.url(PRIVATE_NETWORKS))),
    ]);
    if (metadata === undefined) throw garbled(client.url(METADATA), 'a document', 'nothing');
    const item = async (key: string) =>
      (await readYaml(itemOf(metadata, key), client.url(METADATA))).get(key);
    const told = await item('network-config');
    const config = told.absent
      ? await readYaml(await client.get(NETWORK_CONFIG), client.url(NETWORK_CONFIG))
      : told;
    const publicIpv4 = (await item('public-ipv4')).address();
    const privates = networks.items().map(readPrivateNetwork);
    const open = readPublicInterfaces(config, publicIpv4);
    const interfaces = joinOsInterfaces([...open, ...privates], facts.interfaces);
    return {
      // Floating addresses are in no document; whoever has some configured them here.
      interfaces: withOwnPublicAddresses(interfaces, facts.interfaces),
      // The whole network: its other subnets are reached by private addresses too.
      localNetworks: [
        ...new Set([
          ...networks.items().flatMap((node) => node.get('network').network() ?? []),
          ...privates.flatMap((nic) => nic.subnets),
        ]),
      ],
    };
  },
});

function readPublicInterfaces(config: MetadataNode, publicIpv4: string | undefined): ToldInterface[] {
  const physical = config
    .get('config')
    .items()
    .filter((item) => item.get('type').text() === 'physical');
  const found = physical.map((item): ToldInterface => {
    const subnets = item.get('subnets').items();
    const byDhcp = subnets.some(
      (subnet) => subnet.get('ipv4').flag() && /^dhcp4?$/.test(subnet.get('type').text() ?? ''),
    );
    const fixed = subnets.flatMap((subnet) => {
      const node = subnet.get('address');
      const [text, prefix] = node.text()?.split('/') ?? [];
      if (text === undefined) return [];
      const address = checkedAddress(text, node.at);
      return [{ address, network: prefix === undefined ? networkOf(address, 64) : node.network()! }];
    });
    const addresses: AddressMapping[] = [
      ...(byDhcp && publicIpv4 !== undefined
        ? [{ privateAddress: publicIpv4, provenance: 'imds' } as const]
        : []),
      ...fixed.map(({ address }) => ({ privateAddress: address, provenance: 'imds' }) as const),
    ];
    const mac = item.get('mac_address').mac();
    return { ...(mac !== undefined && { mac }), addresses, subnets: fixed.map(({ network }) => network) };
  });
  return found.filter(({ addresses }) => addresses.length > 0);
}

function readPrivateNetwork(node: MetadataNode): ToldInterface {
  const mac = node.get('mac_address').mac();
  const aliases = node.get('alias_ips').items();
  const subnet = node.get('subnet').network();
  const id = node.get('network_name').text()?.slice(0, 128);
  return {
    ...(mac !== undefined && { mac }),
    ...(id !== undefined && { id }),
    addresses: [node.get('ip'), ...aliases].flatMap((item): AddressMapping[] => {
      const privateAddress = item.address();
      return privateAddress === undefined ? [] : [{ privateAddress, provenance: 'imds' }];
    }),
    subnets: subnet === undefined ? [] : [subnet],
  };
}

/**
 * One item of the document with its key. The service also writes texts for other programs into it, of several lines
 * in quotes without the indent that YAML asks for: they must not make the whole unreadable.
 */
function itemOf(document: string, key: string): string | undefined {
  const lines = document.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`${key}:`));
  if (start < 0) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => /^[a-z][a-z0-9_-]*:/.test(line));
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n');
}

/** Without aliases: a few lines of YAML with them grow to gigabytes. */
async function readYaml(text: string | undefined, url: string): Promise<MetadataNode> {
  if (text === undefined) return nodeOf(undefined, url);
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch {
    throw garbled(url, 'YAML', quoted(text.trimStart()));
  }
  return nodeOf(value, url);
}
