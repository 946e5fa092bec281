import { checkedAddress, checkedMac, garbled, linesOf, networkOf } from '../src/discovery/checked-values.ts';
import {
  joinOsInterfaces,
  type ToldInterface,
  withOsAddresses,
} from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { taggedOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping, NetworkInterface } from '../src/discovery/topology.ts';
import { familyOf } from '../src/net/address.ts';
import { scopeOf } from '../src/net/address-scope.ts';
import { machines } from './machines.ts';

const NETWORK = '/openstack/latest/network_data.json';
const META = '/openstack/latest/meta_data.json';
const FLOATING = '/latest/meta-data/public-ipv4';

/**
 * OpenStack Nova, whoever runs it. `network_data.json` has every interface; of floating addresses the service tells
 * the first alone, and not in front of which address that stands.
 */
export const openstack: Provider = metadataProvider({
  name: 'openstack',
  endpoint: 'http://169.254.169.254',
  detect: machines.openstack,
  async read(client, { facts }) {
    const [network, meta, floating] = await Promise.all(
      [NETWORK, META, FLOATING].map((path) => client.get(path)),
    );
    if (network === undefined && meta === undefined) {
      throw garbled(client.url(NETWORK), 'a document', 'nothing, there as at meta_data.json');
    }
    const data = readJson(network, client.url(NETWORK));
    const joined = joinOsInterfaces(readLinks(data), facts.interfaces).map((nic) =>
      // Addresses that DHCP hands out are not in the document.
      withOsAddresses(nic, facts.interfaces, (address) => ({ privateAddress: address, provenance: 'os' })),
    );
    const [first] = linesOf(floating, client.url(FLOATING)).map((line) =>
      checkedAddress(line, client.url(FLOATING)),
    );
    // An answer without an address says that there is no floating one; no answer says nothing.
    const interfaces = withFloating(joined, floating === undefined ? 'untold' : (first ?? 'none'));
    const unsure = interfaces.some((nic) => nic.addresses.some((address) => address.publicUnknown));
    const tags = taggedOptions(readJson(meta, client.url(META)).get('meta'));
    return {
      interfaces,
      localNetworks: [
        ...new Set(
          interfaces
            .flatMap((nic) => nic.subnets)
            .filter((subnet) => scopeOf(subnet.split('/')[0]!) === 'private'),
        ),
      ],
      ...(unsure && {
        notes: [
          first === undefined
            ? "This cloud's metadata does not tell of floating addresses."
            : `This cloud's metadata names the floating address ${first}, but not the private address behind it, and no further ones.`,
        ],
      }),
      tags,
    };
  },
});

/** The links that a network stands on, in the order of the networks: the first one is the primary. */
function readLinks(data: MetadataNode): ToldInterface[] {
  const links = new Map(
    data
      .get('links')
      .items()
      .map((link) => [link.get('id').text(), link]),
  );
  const found = new Map<string, { mac: string | undefined; link: MetadataNode; networks: MetadataNode[] }>();
  for (const network of data.get('networks').items()) {
    const id = network.get('link').text();
    const link = links.get(id);
    if (id === undefined || !link) continue;
    const entry = found.get(id) ?? { mac: macOf(link, links), link, networks: [] };
    entry.networks.push(network);
    found.set(id, entry);
  }
  return [...found.values()].map(({ mac, link, networks }) => {
    const own = networks.flatMap((network) => {
      const node = network.get('ip_address');
      const [text, prefix] = node.text()?.split('/') ?? [];
      if (text === undefined) return [];
      const address = checkedAddress(text, node.at);
      const fallback = familyOf(address) === 'ipv4' ? 32 : 128;
      const length = network.get('netmask').netmask() ?? fallback;
      return [{ address, subnet: prefix === undefined ? networkOf(address, length) : node.network()! }];
    });
    const id = link.get('vif_id').text()?.slice(0, 128);
    const mtu = link.get('mtu').wholeNumber();
    return {
      ...(mac !== undefined && { mac }),
      ...(id !== undefined && { id }),
      addresses: own.map(({ address }) => ({ privateAddress: address, provenance: 'imds' })),
      subnets: [...new Set(own.map(({ subnet }) => subnet))],
      ...(mtu !== undefined && { mtu }),
    };
  });
}

/** A VLAN has a MAC of its own or that of the link below it. */
function macOf(link: MetadataNode, links: ReadonlyMap<string | undefined, MetadataNode>): string | undefined {
  const below = links.get(link.get('vlan_link').text());
  return [link.get('vlan_mac_address'), link.get('ethernet_mac_address'), below?.get('ethernet_mac_address')]
    .map((node) => (node?.absent === false ? checkedMac(node.text()!, node.at) : undefined))
    .find((mac) => mac !== undefined);
}

function withFloating(
  interfaces: readonly NetworkInterface[],
  floating: string | 'none' | 'untold',
): NetworkInterface[] {
  if (floating === 'none') return [...interfaces];
  const translated = (address: string) => familyOf(address) === 'ipv4' && scopeOf(address) === 'private';
  const candidates = interfaces
    .flatMap((nic) => nic.addresses)
    .filter((mapping) => translated(mapping.privateAddress));
  const sure = floating !== 'untold' && candidates.length === 1;
  return interfaces.map((nic) => ({
    ...nic,
    addresses: nic.addresses.map((mapping): AddressMapping => {
      if (!translated(mapping.privateAddress)) return mapping;
      return sure
        ? { ...mapping, publicAddress: floating, provenance: 'imds' }
        : { ...mapping, publicUnknown: true };
    }),
  }));
}
