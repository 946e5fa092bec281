import { garbled } from '../src/discovery/checked-values.ts';
import {
  joinOsInterfaces,
  type ToldInterface,
  withOsAddresses,
} from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import type { Provider } from '../src/discovery/provider.ts';
import { taggedOptions } from '../src/discovery/tagged-options.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { familyOf } from '../src/net/address.ts';
import { scopeOf } from '../src/net/address-scope.ts';
import { machines } from './machines.ts';

const VNICS = '/opc/v2/vnics/';
const INSTANCE = '/opc/v2/instance/';
/** Version 2 of the service wants it; a browser that is led here cannot send it. */
const HEADERS = { Authorization: 'Bearer Oracle' };

/** Oracle Cloud Infrastructure. Its metadata tells every VNIC and not one public address. */
export const oci: Provider = metadataProvider({
  name: 'oci',
  endpoint: 'http://169.254.169.254',
  detect: machines.oci,
  async read(client, { facts }) {
    const [vnics, instance] = await Promise.all([client.get(VNICS, HEADERS), client.get(INSTANCE, HEADERS)]);
    const told = readJson(vnics, client.url(VNICS)).items().map(readVnic);
    if (told.length === 0) throw garbled(client.url(VNICS), 'a list of VNICs', 'none');
    // Secondary private addresses of a VNIC are not in the metadata either: the machine knows its own.
    const interfaces = joinOsInterfaces(told, facts.interfaces).map((nic) =>
      withOsAddresses(nic, facts.interfaces, (address) =>
        scopeOf(address) === 'private' && familyOf(address) === 'ipv4'
          ? { privateAddress: address, provenance: 'os', publicUnknown: true }
          : undefined,
      ),
    );
    const tags = taggedOptions(readJson(instance, client.url(INSTANCE)).get('freeformTags'));
    return {
      interfaces,
      localNetworks: [...new Set(told.flatMap((nic) => nic.subnets))],
      notes: [
        'The metadata of Oracle Cloud names no public addresses and no network of the VCN but the own subnets: further networks go after --local-network.',
      ],
      tags,
    };
  },
});

function readVnic(vnic: MetadataNode): ToldInterface {
  const mac = vnic.get('macAddr').mac();
  if (mac === undefined) throw garbled(vnic.get('macAddr').at, 'a MAC address', 'nothing');
  const ipv4 = vnic.get('privateIp').address();
  const ipv6 = vnic
    .get('ipv6Addresses')
    .items()
    .map((item) => item.address())
    .filter((address) => address !== undefined);
  const addresses: AddressMapping[] = [
    ...(ipv4 === undefined
      ? []
      : [{ privateAddress: ipv4, provenance: 'imds', publicUnknown: true } as const]),
    // The VCN never translates IPv6.
    ...ipv6.map((privateAddress) => ({ privateAddress, provenance: 'imds' }) as const),
  ];
  const subnets = [vnic.get('subnetCidrBlock'), vnic.get('ipv6SubnetCidrBlock')]
    // An IPv6-only subnet is told to have the IPv4 network "<null>".
    .map((node) => (node.text() === '<null>' ? undefined : node.network()))
    .filter((network) => network !== undefined);
  const id = vnic.get('vnicId').text()?.slice(0, 128);
  return { mac, ...(id !== undefined && { id }), addresses, subnets };
}
