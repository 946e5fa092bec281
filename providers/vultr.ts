import { networkOf } from '../src/discovery/checked-values.ts';
import {
  joinOsInterfaces,
  type ToldInterface,
  withOwnPublicAddresses,
} from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { machines } from './machines.ts';

const DOCUMENT = '/v1.json';

/** Vultr: every address, reserved ones too, stands on its interface. */
export const vultr: Provider = metadataProvider({
  name: 'vultr',
  endpoint: 'http://169.254.169.254',
  detect: machines.vultr,
  async read(client, { facts }) {
    const document = readJson(await client.get(DOCUMENT), client.url(DOCUMENT));
    const items = document.get('interfaces').items();
    const told = items.map(readInterface);
    const inside = told.filter((_, index) => items[index]!.get('network-type').text() === 'private');
    return {
      interfaces: withOwnPublicAddresses(joinOsInterfaces(told, facts.interfaces), facts.interfaces),
      localNetworks: [...new Set(inside.flatMap((nic) => nic.subnets))],
    };
  },
});

function readInterface(nic: MetadataNode): ToldInterface {
  const mac = nic.get('mac').mac();
  const id = nic.get('network-v2-id').text()?.slice(0, 128);
  const ipv4 = nic.get('ipv4');
  const ipv6 = nic.get('ipv6');
  const own = [ipv4, ...ipv4.get('additional').items(), ipv6].flatMap((node) => {
    const address = node.get('address').address();
    if (address === undefined) return [];
    const prefix = node.get('netmask').netmask() ?? node.get('prefix').wholeNumber();
    return [{ address, network: networkOf(address, prefix ?? (address.includes(':') ? 128 : 32)) }];
  });
  return {
    ...(mac !== undefined && { mac }),
    ...(id !== undefined && { id }),
    // What is additional in IPv6 is a network that is routed here, not an address.
    addresses: own.map(({ address }) => ({ privateAddress: address, provenance: 'imds' })),
    subnets: [...new Set(own.map(({ network }) => network))],
  };
}
