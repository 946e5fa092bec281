import { garbled } from '../src/discovery/checked-values.ts';
import { groupByOwner, isOwned, withOwnPublicAddresses } from '../src/discovery/join-os-interfaces.ts';
import { readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import { privateSubnets } from '../src/discovery/os-topology.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { labelledOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const DOCUMENT = '/conf?format=json';

/**
 * Scaleway. Addresses are routed to the machine and stand on its interface; machines from before that have a
 * private address with the public one in front.
 */
export const scaleway: Provider = metadataProvider({
  name: 'scaleway',
  endpoint: 'http://169.254.42.42',
  detect: machines.scaleway,
  async read(client, { facts }) {
    const document = readJson(await client.get(DOCUMENT), client.url(DOCUMENT));
    if (document.absent) throw garbled(document.at, 'a document', 'nothing');
    const single = document.get('public_ip').get('address').address();
    const listed = [...document.get('public_ips_v4').items(), ...document.get('public_ips_v6').items()];
    const open = [
      ...new Set([
        ...(single === undefined ? [] : [single]),
        ...listed.flatMap((item) => item.get('address').address() ?? []),
      ]),
    ];
    const before = document.get('private_ip').address();
    const translated = before !== undefined && single !== undefined && !isOwned(facts.interfaces, single);
    const mappings: AddressMapping[] = [
      ...(translated ? [{ privateAddress: before, publicAddress: single, provenance: 'imds' } as const] : []),
      ...open
        .filter((address) => !(translated && address === single))
        .map((privateAddress) => ({ privateAddress, provenance: 'imds' }) as const),
    ];
    const tags = labelledOptions(document.get('tags'));
    return {
      tags,
      interfaces: withOwnPublicAddresses(groupByOwner(mappings, facts.interfaces), facts.interfaces),
      // Private networks are interfaces that the document does not address.
      localNetworks: privateSubnets(facts.interfaces.filter((device) => !device.internal)),
    };
  },
});
