import {
  checkedAddress,
  checkedMac,
  checkedNetwork,
  garbled,
  linesOf,
} from '../src/discovery/checked-values.ts';
import { joinOsInterfaces, type ToldInterface } from '../src/discovery/join-os-interfaces.ts';
import { readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import { type MetadataSession, openSession } from '../src/discovery/metadata-session.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const ROOT = '/latest/meta-data/';
const MACS = 'network/interfaces/macs/';

/**
 * Alibaba Cloud ECS, with a token, which the hardened mode wants and the normal one grants. The metadata tells the
 * public address of the primary interface's primary address alone; others may have elastic ones untold.
 */
export const alibaba: Provider = metadataProvider({
  name: 'alibaba',
  endpoint: 'http://100.100.100.200',
  detect: machines.alibaba,
  async read(client, { facts }) {
    const session = await openSession(client, {
      tokenPath: '/latest/api/token',
      tokenHeaders: { 'X-aliyun-ecs-metadata-token-ttl-seconds': '300' },
      show: (token) => ({ 'X-aliyun-ecs-metadata-token': token }),
    });
    const items = itemsOf(session, (path) => client.url(path));
    const [primaryMac, list, privateIpv4, subPrivate, elastic, assigned, vpc, vswitch] = await Promise.all([
      items.one('mac', checkedMac),
      items.list(MACS, checkedMac),
      items.one('private-ipv4', checkedAddress),
      items.list('sub-private-ipv4-list', checkedAddress),
      items.one('eipv4', checkedAddress),
      items.one('public-ipv4', checkedAddress),
      items.one('vpc-cidr-block', checkedNetwork),
      items.one('vswitch-cidr-block', checkedNetwork),
    ]);
    const macs = [...new Set([...(primaryMac === undefined ? [] : [primaryMac]), ...list])];
    if (macs.length === 0) throw garbled(client.url(ROOT + MACS), 'network interfaces', 'none');
    const publicIpv4 = elastic ?? assigned;
    const read = await Promise.all(
      macs.map(async (mac, index) => {
        const primary = mac === primaryMac || (primaryMac === undefined && index === 0);
        const found = await readInterface(items, mac);
        const [first, ...others] = distinct([
          ...(primary && privateIpv4 !== undefined ? [privateIpv4] : []),
          ...found.ipv4,
          ...(primary ? subPrivate : []),
        ]);
        const addresses: AddressMapping[] = [
          ...(first === undefined ? [] : [primary ? known(first, publicIpv4) : unknown(first)]),
          ...others.map(unknown),
          ...found.ipv6.map((privateAddress) => ({ privateAddress, provenance: 'imds' }) as const),
        ];
        const subnets = distinct([...found.subnets, ...(primary && vswitch !== undefined ? [vswitch] : [])]);
        const told: ToldInterface = {
          mac,
          ...(found.id !== undefined && { id: found.id }),
          addresses,
          subnets,
        };
        return { told, networks: [...found.networks, ...subnets] };
      }),
    );
    const told = read.map((entry) => entry.told);
    const unsure = told.some((nic) => nic.addresses.some((address) => address.publicUnknown));
    return {
      interfaces: joinOsInterfaces(told, facts.interfaces),
      localNetworks: distinct([
        ...(vpc === undefined ? [] : [vpc]),
        ...read.flatMap(({ networks }) => networks),
      ]),
      ...(unsure && {
        notes: [
          "The metadata of Alibaba Cloud names the public address of the primary interface's first address alone.",
        ],
      }),
    };
  },
});

function known(privateAddress: string, publicAddress: string | undefined): AddressMapping {
  // In the classic network the public address stands on an interface of its own.
  const mapped = publicAddress !== undefined && publicAddress !== privateAddress;
  return { privateAddress, ...(mapped && { publicAddress }), provenance: 'imds' };
}

function unknown(privateAddress: string): AddressMapping {
  return { privateAddress, provenance: 'imds', publicUnknown: true };
}

async function readInterface(items: Items, mac: string) {
  const at = (name: string) => `${MACS}${mac}/${name}`;
  const [id, primary, privates, ipv6, vswitch, vswitch6, vpc, vpc6] = await Promise.all([
    items.one(at('network-interface-id'), (text) => text.slice(0, 128)),
    items.list(at('primary-ip-address'), checkedAddress),
    items.list(at('private-ipv4s'), checkedAddress),
    items.list(at('ipv6s'), checkedAddress),
    items.list(at('vswitch-cidr-block'), checkedNetwork),
    items.list(at('vswitch-ipv6-cidr-block'), checkedNetwork),
    items.list(at('vpc-cidr-block'), checkedNetwork),
    items.list(at('vpc-ipv6-cidr-blocks'), checkedNetwork),
  ]);
  return {
    id,
    ipv4: distinct([...primary, ...privates]),
    ipv6,
    subnets: [...vswitch, ...vswitch6],
    networks: [...vpc, ...vpc6],
  };
}

type Items = ReturnType<typeof itemsOf>;

/** Lists come as lines, parted by commas, or as JSON (`["192.168.0.5"]`), by the age of the item. */
function itemsOf(session: MetadataSession, url: (path: string) => string) {
  const list = async <Item>(path: string, parse: (text: string, at: string) => Item): Promise<Item[]> => {
    const at = url(ROOT + path);
    const text = (await session.get(ROOT + path))?.trim() ?? '';
    const texts = text.startsWith('[')
      ? readJson(text, at)
          .items()
          .flatMap((node) => node.text() ?? [])
      : linesOf(text.replaceAll(',', '\n'), at);
    return texts.map((each) => parse(each, at));
  };
  return {
    list,
    one: async <Item>(path: string, parse: (text: string, at: string) => Item) =>
      (await list(path, parse))[0],
  };
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
