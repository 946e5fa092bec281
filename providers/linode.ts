import { checkedAddress, garbled } from '../src/discovery/checked-values.ts';
import { groupByOwner, isOwned, withOwnPublicAddresses } from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import { openSession } from '../src/discovery/metadata-session.ts';
import { privateSubnets } from '../src/discovery/os-topology.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { labelledOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { familyOf, normalizeHost } from '../src/net/address.ts';
import { scopeOf } from '../src/net/address-scope.ts';
import { machines } from './machines.ts';

const NETWORK = '/v1/network';
const INSTANCE = '/v1/instance';
/** Bridges of containers and tunnels have private addresses too, and no VPC behind them. */
const MADE_HERE = /^(br-|cali|cni|docker|flannel|lxc|lxd|podman|tailscale|tap|tun|veth|virbr|wg)/;

/**
 * Linode, Akamai by another name: addresses stand on the machine, and no MAC is told. Only in a VPC with 1-to-1 NAT
 * does the public address stand in front of one of the VPC, untold of which.
 */
export const linode: Provider = metadataProvider({
  name: 'linode',
  endpoint: 'http://169.254.169.254',
  detect: machines.linode,
  async read(client, { facts }) {
    const session = await openSession(client, {
      tokenPath: '/v1/token',
      tokenHeaders: { 'Metadata-Token-Expiry-Seconds': '300' },
      show: (token) => ({ 'Metadata-Token': token, Accept: 'application/json' }),
    });
    const [network, instance] = await Promise.all(
      [NETWORK, INSTANCE].map(async (path) => readJson(await session.get(path), client.url(path))),
    );
    if (!network || network.absent) throw garbled(client.url(NETWORK), 'a document', 'nothing');
    const ipv4 = network.get('ipv4');
    const open = [...ipv4.get('public').items(), ...ipv4.get('shared').items()].map(addressOf);
    const inside = ipv4.get('private').items().map(addressOf);
    const slaac = network.get('ipv6').get('slaac');
    const told = [...open, ...inside, ...(slaac.absent ? [] : [addressOf(slaac)])];

    const vpc = facts.interfaces
      .filter((device) => !device.internal && !MADE_HERE.test(device.name))
      .flatMap((device) => device.addresses.map(({ address }) => normalizeHost(address)))
      .filter((own) => familyOf(own) === 'ipv4' && scopeOf(own) === 'private' && !inside.includes(own));
    const owned = open.some((address) => isOwned(facts.interfaces, address));
    const translated = open.length > 0 && vpc.length > 0 && !owned;
    const mappings: AddressMapping[] = [
      ...(translated ? vpc : []).map(
        (privateAddress) => ({ privateAddress, provenance: 'os', publicUnknown: true }) as const,
      ),
      ...told
        .filter((address) => !(translated && open.includes(address)))
        .map((privateAddress) => ({ privateAddress, provenance: 'imds' }) as const),
    ];
    const tags = instance && labelledOptions(instance.get('tags'));
    return {
      ...(tags && { tags }),
      interfaces: withOwnPublicAddresses(groupByOwner(mappings, facts.interfaces), facts.interfaces),
      localNetworks: privateSubnets(facts.interfaces.filter((device) => !device.internal)),
      ...(translated && {
        notes: [
          `The metadata of Linode names the public address ${open.join(', ')}, but not the address of the VPC behind it.`,
        ],
      }),
    };
  },
});

/** `172.1.2.3/32` */
function addressOf(node: MetadataNode): string {
  return checkedAddress(node.text()?.split('/')[0] ?? '', node.at);
}
