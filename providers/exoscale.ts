import { checkedAddress, garbled, linesOf } from '../src/discovery/checked-values.ts';
import { groupByOwner, withOwnPublicAddresses } from '../src/discovery/join-os-interfaces.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import { privateSubnets } from '../src/discovery/os-topology.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { machines } from './machines.ts';

const PUBLIC = '/latest/meta-data/public-ipv4';

/** Exoscale: the public address stands on the first interface; private networks are told to the machine alone. */
export const exoscale: Provider = metadataProvider({
  name: 'exoscale',
  endpoint: 'http://169.254.169.254',
  detect: machines.exoscale,
  async read(client, { facts }) {
    const text = await client.get(PUBLIC);
    const url = client.url(PUBLIC);
    if (text === undefined) throw garbled(url, 'an address', 'nothing');
    const told = linesOf(text, url).map(
      (line) => ({ privateAddress: checkedAddress(line, url), provenance: 'imds' }) as const,
    );
    const outward = facts.interfaces.filter((device) => !device.internal);
    return {
      interfaces: withOwnPublicAddresses(groupByOwner(told, outward), outward),
      localNetworks: privateSubnets(outward),
    };
  },
});
