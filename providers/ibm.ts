import { garbled } from '../src/discovery/checked-values.ts';
import { joinOsInterfaces, type ToldInterface, withOsSubnets } from '../src/discovery/join-os-interfaces.ts';
import { type MetadataNode, readJson } from '../src/discovery/metadata-node.ts';
import { metadataProvider } from '../src/discovery/metadata-provider.ts';
import { type MetadataSession, openSession } from '../src/discovery/metadata-session.ts';
import { privateSubnets } from '../src/discovery/os-topology.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { AddressMapping } from '../src/discovery/topology.ts';
import { machines } from './machines.ts';

const VERSION = 'version=2022-03-01';
const INTERFACES = '/metadata/v1/instance/network_interfaces';

/**
 * IBM Cloud VPC. A floating address stands in front of an interface's primary address. MACs are told on newer
 * machines alone: elsewhere the addresses have to do.
 */
export const ibm: Provider = metadataProvider({
  name: 'ibm',
  endpoint: 'http://169.254.169.254',
  detect: machines.ibm,
  async read(client, { facts }) {
    const session = await openSession(client, {
      tokenPath: `/instance_identity/v1/token?${VERSION}`,
      tokenHeaders: { 'Metadata-Flavor': 'ibm', Accept: 'application/json' },
      tokenOf: (body) => readJson(body, client.url('/instance_identity/v1/token')).get('access_token').text(),
      show: (token) => ({ Authorization: `Bearer ${token}`, Accept: 'application/json' }),
    });
    const url = client.url(INTERFACES);
    const listed = readJson(await session.get(`${INTERFACES}?${VERSION}`), url)
      .get('network_interfaces')
      .items();
    if (listed.length === 0) throw garbled(url, 'a list of network interfaces', 'none');
    const whole = await Promise.all(listed.map((nic) => wholeInterface(session, nic, url)));
    const told = whole.map(readInterface);
    return {
      // The document names subnets without saying which networks they are: the machine knows.
      interfaces: joinOsInterfaces(told, facts.interfaces).map((nic) => withOsSubnets(nic, facts.interfaces)),
      localNetworks: privateSubnets(facts.interfaces.filter((device) => !device.internal)),
      notes: [
        'The metadata of IBM Cloud names no network of the VPC but the own subnets: further networks go after --local-network.',
      ],
    };
  },
});

/** The list may be a summary: what has no floating addresses there is asked for by itself. */
async function wholeInterface(
  session: MetadataSession,
  nic: MetadataNode,
  url: string,
): Promise<MetadataNode> {
  const id = nic.get('id').text();
  if (nic.keys().includes('floating_ips') || id === undefined) return nic;
  const path = `${INTERFACES}/${encodeURIComponent(id)}`;
  const answer = await session.get(`${path}?${VERSION}`);
  // Detached while we were reading.
  return answer === undefined ? nic : readJson(answer, `${url}/${encodeURIComponent(id)}`);
}

function readInterface(nic: MetadataNode): ToldInterface {
  const mac = nic.get('mac_address').mac();
  const id = nic.get('id').text()?.slice(0, 128);
  const primary = nic.get('primary_ip').get('address').address() ?? nic.get('primary_ipv4_address').address();
  const floating = nic
    .get('floating_ips')
    .items()
    .map((item) => item.get('address').address())
    .find((address) => address !== undefined);
  const others = nic
    .get('ips')
    .items()
    .map((item) => item.get('address').address())
    .filter((address) => address !== undefined && address !== primary);
  const addresses: AddressMapping[] = [];
  if (primary !== undefined) {
    const mapped = floating !== undefined && { publicAddress: floating };
    addresses.push({ privateAddress: primary, ...mapped, provenance: 'imds' });
  }
  for (const privateAddress of others)
    addresses.push({ privateAddress: privateAddress!, provenance: 'imds' });
  return { ...(mac !== undefined && { mac }), ...(id !== undefined && { id }), addresses, subnets: [] };
}
