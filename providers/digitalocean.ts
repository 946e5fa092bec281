import { networkOf } from '../src/discovery/checked-values.ts';
import {
  joinOsInterfaces,
  type ToldInterface,
  withOwnPublicAddresses,
} from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { labelledOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const DOCUMENT = '/metadata/v1.json';

/**
 * DigitalOcean. A droplet's own public address stands on its interface. A reserved address does not: its packets
 * arrive at the anchor address, so that is what a socket binds, as the reserved one.
 */
export const digitalocean: Provider = metadataProvider({
  name: 'digitalocean',
  endpoint: 'http://169.254.169.254',
  detect: machines.digitalocean,
  async read(client, { facts }) {
    const text = await client.get(DOCUMENT);
    const document = readJson(text, client.url(DOCUMENT));
    const interfaces = document.get('interfaces');
    const reserved4 = activeAddress(document, 'ipv4');
    const reserved6 = activeAddress(document, 'ipv6');
    const open = interfaces.get('public').items();
    const told = [
      // Reserved addresses belong to the first public interface.
      ...open.map((nic, index) => readInterface(nic, ...(index === 0 ? [reserved4, reserved6] : []))),
      ...interfaces
        .get('private')
        .items()
        .map((nic) => readInterface(nic)),
    ];
    const tags = labelledOptions(document.get('tags'));
    return {
      tags,
      interfaces: withOwnPublicAddresses(joinOsInterfaces(told, facts.interfaces), facts.interfaces),
      // The VPC. Nobody is reached through the anchor's network.
      localNetworks: [...new Set(told.slice(open.length).flatMap((nic) => nic.subnets))],
    };
  },
});

/** Reserved addresses were called floating before, and are told under both names. */
function activeAddress(document: MetadataNode, family: 'ipv4' | 'ipv6'): string | undefined {
  return ['reserved_ip', 'floating_ip']
    .map((name) => document.get(name).get(family))
    .filter((node) => node.get('active').flag())
    .map((node) => node.get('ip_address').address())
    .find((address) => address !== undefined);
}

function readInterface(nic: MetadataNode, reserved4?: string, reserved6?: string): ToldInterface {
  const mac = nic.get('mac').mac();
  const ipv4 = withNetwork(nic.get('ipv4'));
  const ipv6 = withNetwork(nic.get('ipv6'));
  const anchor = withNetwork(nic.get('anchor_ipv4'));
  const addresses: AddressMapping[] = [];
  for (const own of [ipv4, ipv6]) {
    if (own) addresses.push({ privateAddress: own.address, provenance: 'imds' });
  }
  // Without a reserved address nothing ever arrives at the anchor.
  if (anchor && reserved4 !== undefined) {
    addresses.push({ privateAddress: anchor.address, publicAddress: reserved4, provenance: 'imds' });
  }
  // A reserved IPv6 address is not translated: it is configured on the machine.
  if (reserved6 !== undefined) addresses.push({ privateAddress: reserved6, provenance: 'imds' });
  const subnets = [ipv4, ipv6].flatMap((own) => (own ? [own.network] : []));
  return { ...(mac !== undefined && { mac }), addresses, subnets };
}

function withNetwork(node: MetadataNode): { address: string; network: string } | undefined {
  const address = node.get('ip_address').address();
  if (address === undefined) return undefined;
  const prefix = node.get('netmask').netmask() ?? node.get('cidr').wholeNumber() ?? 128;
  return { address, network: networkOf(address, prefix) };
}
