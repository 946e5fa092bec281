import { garbled, networkOf } from '../src/discovery/checked-values.ts';
import { joinOsInterfaces } from '../src/discovery/join-os-interfaces.ts';
import { readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { labelledOptions } from '../src/discovery/tagged-options.ts';

const DOCUMENT = '/metadata';

/**
 * Equinix Metal: every address stands on the bond. Nothing in the firmware of its machines names the cloud, so it is
 * taken by name alone.
 */
export const equinixmetal: Provider = metadataProvider({
  name: 'equinixmetal',
  endpoint: 'http://metadata.packet.net',
  detect: () => false,
  async read(client, { facts }) {
    const document = readJson(await client.get(DOCUMENT), client.url(DOCUMENT));
    const network = document.get('network');
    const own = network
      .get('addresses')
      .items()
      .filter((item) => item.get('enabled').flag())
      .flatMap((item) => {
        const address = item.get('address').address();
        const prefix = item.get('cidr').wholeNumber();
        if (address === undefined || prefix === undefined) return [];
        return [{ address, subnet: networkOf(address, prefix) }];
      });
    if (own.length === 0) throw garbled(network.at, 'addresses', 'none');
    const [first] = network.get('interfaces').items();
    const mac = network.get('bonding').get('mac').mac() ?? first?.get('mac').mac();
    const tags = labelledOptions(document.get('tags'));
    return {
      tags,
      interfaces: joinOsInterfaces(
        [
          {
            ...(mac !== undefined && { mac }),
            addresses: own.map(({ address }) => ({ privateAddress: address, provenance: 'imds' })),
            subnets: [...new Set(own.map(({ subnet }) => subnet))],
          },
        ],
        facts.interfaces,
      ),
      localNetworks: document
        .get('private_subnets')
        .items()
        .flatMap((item) => item.network() ?? []),
    };
  },
});
