import { readFileSync } from 'node:fs';
import { type Documents, type Gate, tokenGate, treeDocuments } from './fake-cloud.ts';

/** A recorded document, `oci/talos-vnics.json`. */
export function recording(name: string): string {
  return readFileSync(new URL(`../fixtures/metadata/${name}`, import.meta.url), 'utf8');
}

type Tree = Parameters<typeof treeDocuments>[1];
const parsed = (name: string): Record<string, unknown> =>
  JSON.parse(recording(name)) as Record<string, unknown>;

export interface CloudModel {
  /** What one machine's service holds. */
  readonly documents: Documents;
  /** The path without which nothing can be told. */
  readonly main: string;
  /** Made anew for each server: it remembers tokens. */
  readonly gate?: () => { readonly gate: Gate; expire(): void };
}

const META_DATA = '/latest/meta-data';

const alibabaGate = () =>
  tokenGate({
    tokenPath: '/latest/api/token',
    wants: ['X-aliyun-ecs-metadata-token-ttl-seconds', /^\d{1,5}$/],
    show: ['X-aliyun-ecs-metadata-token', (token) => token],
  });
const linodeGate = () =>
  tokenGate({
    tokenPath: '/v1/token',
    wants: ['Metadata-Token-Expiry-Seconds', /^\d{1,5}$/],
    show: ['Metadata-Token', (token) => token],
  });
const ibmGate = () =>
  tokenGate({
    tokenPath: '/instance_identity/v1/token?version=2022-03-01',
    wants: ['Metadata-Flavor', /^ibm$/],
    body: (token) => JSON.stringify({ access_token: token, expires_in: 300 }),
    show: ['Authorization', (token) => `Bearer ${token}`],
  });
const ociGate = () => ({
  gate: ({ headers }: Parameters<Gate>[0]) =>
    headers.authorization === 'Bearer Oracle' ? undefined : { status: 403 },
  expire: () => {},
});

export const oci = (vnics: string, instance = 'oci/instance.json'): CloudModel => ({
  documents: { '/opc/v2/vnics/': recording(vnics), '/opc/v2/instance/': recording(instance) },
  main: '/opc/v2/vnics/',
  gate: ociGate,
});

export const single = (path: string, name: string): CloudModel => ({
  documents: { [path]: recording(name) },
  main: path,
});

export const hetzner = (documents: Readonly<Record<string, string>>): CloudModel => ({
  documents: Object.fromEntries(
    Object.entries(documents).map(([path, name]) => [`/hetzner/v1/metadata${path}`, recording(name)]),
  ),
  main: '/hetzner/v1/metadata',
});

export const openstack = (network: string, meta: string, ec2?: string): CloudModel => ({
  documents: {
    '/openstack/latest/network_data.json': recording(network),
    '/openstack/latest/meta_data.json': recording(meta),
    ...(ec2 !== undefined && treeDocuments(META_DATA, parsed(ec2) as Tree)),
  },
  main: '/openstack/latest/network_data.json',
});

export const alibaba = (tree: Tree): CloudModel => ({
  documents: treeDocuments(META_DATA, tree),
  main: `${META_DATA}/network/interfaces/macs/`,
  gate: alibabaGate,
});

/** The recording is what `/latest/meta-data/all` gives: the tree in one document. */
export const alibabaRecorded = (): CloudModel => alibaba(parsed('alibaba/meta-data-all.json') as Tree);

/** Talos keeps a summary of its own: turned back into the tree that it was read from. */
export const alibabaSummarised = (): CloudModel => {
  const summary = parsed('alibaba/talos-synthetic-summary.json') as {
    PublicIPv4: string;
    PrimaryInterface: { MAC: string; PrivateIPv4s: string[]; IPv6s: string[] };
  };
  const { MAC, PrivateIPv4s, IPv6s } = summary.PrimaryInterface;
  const nic = { 'private-ipv4s': JSON.stringify(PrivateIPv4s), ipv6s: JSON.stringify(IPv6s) };
  return alibaba({
    mac: MAC,
    'private-ipv4': PrivateIPv4s[0]!,
    'public-ipv4': summary.PublicIPv4,
    network: { interfaces: { macs: { [MAC]: nic } } },
  });
};

export const exoscale = (): CloudModel => ({
  documents: treeDocuments(META_DATA, parsed('exoscale/talos-synthetic-summary.json') as Tree),
  main: `${META_DATA}/public-ipv4`,
});

export const linode = (): CloudModel => ({
  documents: {
    '/v1/network': recording('linode/talos-v1-network.json'),
    '/v1/instance': recording('linode/talos-v1-instance.json'),
  },
  main: '/v1/network',
  gate: linodeGate,
});

/** The recording lists what one interface has; its values are those of the guide's examples. */
export const tencent = (): CloudModel => {
  const macs = `${META_DATA}/network/interfaces/macs/`;
  const nic = `${macs}52:54:00:BF:B3:51/`;
  return {
    documents: {
      [`${META_DATA}/mac`]: '52:54:00:BF:B3:51',
      [macs]: '52:54:00:BF:B3:51/',
      [nic]: recording('tencent/macs-listing.txt'),
      [`${nic}primary-local-ipv4`]: '10.104.13.59',
      [`${nic}public-ipv4s`]: '139.199.11.29',
      [`${nic}local-ipv4s/`]: '10.104.13.59/\n10.104.13.60/',
      [`${nic}local-ipv4s/10.104.13.59/public-ipv4`]: '139.199.11.29',
      [`${nic}local-ipv4s/10.104.13.59/subnet-mask`]: '255.255.192.0',
      [`${nic}local-ipv4s/10.104.13.60/subnet-mask`]: '255.255.192.0',
    },
    main: macs,
  };
};

const IBM_LIST = '/metadata/v1/instance/network_interfaces';

/** By the API reference of the VPC metadata service: floating addresses are in the interface's own document. */
export const ibm = (): CloudModel => ({
  documents: {
    [`${IBM_LIST}?version=2022-03-01`]: JSON.stringify({
      network_interfaces: [
        { id: '0717-aa', name: 'eth0', type: 'primary', primary_ip: { address: '10.240.0.4' } },
        {
          id: '0717-bb',
          name: 'eth1',
          type: 'secondary',
          primary_ip: { address: '10.240.64.4' },
          floating_ips: [],
        },
      ],
    }),
    [`${IBM_LIST}/0717-aa?version=2022-03-01`]: JSON.stringify({
      id: '0717-aa',
      name: 'eth0',
      primary_ip: { address: '10.240.0.4', id: '0717-ip' },
      floating_ips: [{ address: '52.116.1.2', id: 'r006-fip', name: 'my-fip' }],
      subnet: { id: '0717-subnet', name: 'my-subnet' },
    }),
  },
  main: `${IBM_LIST}?version=2022-03-01`,
  gate: ibmGate,
});

/** One machine for each cloud, by the name of its provider. */
export const cloudModels: Readonly<Record<string, CloudModel>> = {
  oci: oci('oci/vnics-vm-secondary.json'),
  digitalocean: single('/metadata/v1.json', 'digitalocean/v1-b.json'),
  hetzner: hetzner({
    '': 'hetzner/metadata.yaml',
    '/private-networks': 'hetzner/private-networks.yaml',
  }),
  alibaba: alibabaRecorded(),
  tencent: tencent(),
  ibm: ibm(),
  vultr: single('/v1.json', 'vultr/v1-b-private-net.json'),
  linode: linode(),
  scaleway: single('/conf?format=json', 'scaleway/talos-conf-v2.json'),
  upcloud: single('/metadata/v1.json', 'upcloud/metadata.json'),
  exoscale: exoscale(),
  equinixmetal: single('/metadata', 'equinixmetal/talos-metadata.json'),
  openstack: openstack(
    'openstack/network_data-3.json',
    'openstack/openstack-meta_data.json',
    'openstack/ec2-meta-data.json',
  ),
};
