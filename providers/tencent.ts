import {
  checkedAddress,
  checkedMac,
  checkedNetmask,
  garbled,
  linesOf,
  networkOf,
} from '../src/discovery/checked-values.ts';
import { joinOsInterfaces, type ToldInterface } from '../src/discovery/join-os-interfaces.ts';
import type { MetadataClient } from '../src/discovery/metadata-client.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const ROOT = '/latest/meta-data/';
const MACS = 'network/interfaces/macs/';

/** Tencent Cloud CVM: each private address of each interface is told with the public one in front of it. */
export const tencent: Provider = metadataProvider({
  name: 'tencent',
  // metadata.tencentyun.com by its number: a machine with another resolver does not know the name.
  endpoint: 'http://169.254.0.23',
  detect: machines.tencent,
  async read(client, { facts }) {
    const [[primary], listing] = await Promise.all([
      linesAt(client, 'mac', checkedMac),
      client.get(ROOT + MACS),
    ]);
    const names = linesOf(listing, client.url(ROOT + MACS));
    if (names.length === 0) throw garbled(client.url(ROOT + MACS), 'network interfaces', 'none');
    const told = await Promise.all(names.map((name) => readInterface(client, name)));
    told.sort((a, b) => Number(b.mac === primary) - Number(a.mac === primary));
    return {
      interfaces: joinOsInterfaces(told, facts.interfaces),
      localNetworks: [...new Set(told.flatMap((nic) => nic.subnets))],
      notes: [
        'The metadata of Tencent Cloud names no network of the VPC but the own subnets: further networks go after --local-network.',
      ],
    };
  },
});

/** `name` is the MAC as the service spells it: in lower case by the guide, in upper case by its example. */
async function readInterface(client: MetadataClient, name: string): Promise<ToldInterface> {
  const mac = checkedMac(name, client.url(ROOT + MACS));
  const directory = `${MACS}${name}/`;
  // Only what is listed is asked for.
  const keys = linesOf(await client.get(ROOT + directory), client.url(ROOT + directory));
  const addressesAt = async (key: string) =>
    keys.includes(key)
      ? linesAt(client, `${directory}${key}${key === 'local-ipv4s' ? '/' : ''}`, checkedAddress)
      : [];
  const [first, privates, publics] = await Promise.all(
    ['primary-local-ipv4', 'local-ipv4s', 'public-ipv4s'].map(addressesAt),
  );
  const own = [...new Set([...first!, ...privates!])];
  const read = await Promise.all(
    own.map(async (privateAddress) => {
      const [told, mask] = await Promise.all([
        linesAt(client, `${directory}local-ipv4s/${privateAddress}/public-ipv4`, checkedAddress),
        linesAt(client, `${directory}local-ipv4s/${privateAddress}/subnet-mask`, checkedNetmask),
      ]);
      return { privateAddress, publicAddress: told[0], prefix: mask[0] };
    }),
  );
  // Where single addresses are not told of, only a single pair leaves no doubt about what maps to what.
  const silent = read.every(({ publicAddress }) => publicAddress === undefined);
  const alone = silent && own.length === 1 && publics!.length === 1 ? publics![0] : undefined;
  return {
    mac,
    addresses: read.map(({ privateAddress, publicAddress = alone }): AddressMapping => {
      if (publicAddress === undefined && silent && publics!.length > 0) {
        return { privateAddress, provenance: 'imds', publicUnknown: true };
      }
      const mapped = publicAddress !== undefined && publicAddress !== privateAddress;
      return { privateAddress, ...(mapped && { publicAddress }), provenance: 'imds' };
    }),
    subnets: [
      ...new Set(
        read.flatMap(({ privateAddress, prefix }) =>
          prefix === undefined ? [] : [networkOf(privateAddress, prefix)],
        ),
      ),
    ],
  };
}

async function linesAt<Item>(
  client: MetadataClient,
  path: string,
  parse: (text: string, at: string) => Item,
): Promise<Item[]> {
  const at = client.url(ROOT + path);
  return linesOf(await client.get(ROOT + path), at).map((line) => parse(line, at));
}
