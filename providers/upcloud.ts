import { joinOsInterfaces, type ToldInterface } from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { labelledOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const DOCUMENT = '/metadata/v1.json';

/** UpCloud: public and floating addresses stand on the interface, floating ones once somebody configured them. */
export const upcloud: Provider = metadataProvider({
  name: 'upcloud',
  endpoint: 'http://169.254.169.254',
  detect: machines.upcloud,
  async read(client, { facts }) {
    const document = readJson(await client.get(DOCUMENT), client.url(DOCUMENT));
    const items = document.get('network').get('interfaces').items();
    const told = items.map(readInterface);
    // "utility" is the network between all machines of one customer, "private" one that he made himself.
    const inside = told.filter((_, index) => items[index]!.get('type').text() !== 'public');
    const tags = labelledOptions(document.get('tags'));
    return {
      tags,
      interfaces: joinOsInterfaces(told, facts.interfaces),
      localNetworks: [...new Set(inside.flatMap((nic) => nic.subnets))],
    };
  },
});

function readInterface(nic: MetadataNode): ToldInterface {
  const mac = nic.get('mac').mac();
  const id = nic.get('network_id').text()?.slice(0, 128);
  const items = nic.get('ip_addresses').items();
  return {
    ...(mac !== undefined && { mac }),
    ...(id !== undefined && { id }),
    addresses: items.flatMap((item): AddressMapping[] => {
      const privateAddress = item.get('address').address();
      return privateAddress === undefined ? [] : [{ privateAddress, provenance: 'imds' }];
    }),
    subnets: [...new Set(items.flatMap((item) => item.get('network').network() ?? []))],
  };
}
