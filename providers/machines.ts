import type { MachineFacts } from '../src/discovery/machine-facts.ts';

type Test = (facts: MachineFacts) => boolean;

type Cloud =
  | 'alibaba'
  | 'digitalocean'
  | 'exoscale'
  | 'hetzner'
  | 'ibm'
  | 'linode'
  | 'oci'
  | 'openstack'
  | 'scaleway'
  | 'tencent'
  | 'upcloud'
  | 'vultr';

const sysVendor =
  (...names: readonly string[]): Test =>
  ({ dmi }) =>
    names.includes(dmi['sys_vendor'] ?? '');

/**
 * How a machine of each cloud is recognised, by what its firmware says in files that anybody may read. A vendor
 * of hypervisors (QEMU, Xen, Microsoft) is no sign: they are at home everywhere.
 */
export const machines: Readonly<Record<Cloud, Test>> = {
  alibaba: ({ dmi }) => dmi['product_name'] === 'Alibaba Cloud ECS',
  digitalocean: sysVendor('DigitalOcean'),
  exoscale: ({ dmi }) => /^Exoscale\b/.test(dmi['product_name'] ?? ''),
  hetzner: sysVendor('Hetzner'),
  ibm: ({ dmi }) =>
    /^IBM:Cloud Compute Server/.test(dmi['chassis_vendor'] ?? '') ||
    /ibmcloud/.test(dmi['chassis_asset_tag'] ?? ''),
  linode: sysVendor('Linode', 'Akamai'),
  oci: ({ dmi }) => dmi['chassis_asset_tag'] === 'OracleCloud.com',
  openstack: ({ dmi }) =>
    ['OpenStack Nova', 'OpenStack Compute'].includes(dmi['product_name'] ?? '') ||
    [
      'HUAWEICLOUD',
      'OpenStack Compute',
      'OpenStack Nova',
      'OpenTelekomCloud',
      'SAP CCloud VM',
      'Samsung Cloud Platform',
    ].includes(dmi['chassis_asset_tag'] ?? ''),
  scaleway: sysVendor('Scaleway'),
  tencent: sysVendor('Tencent Cloud'),
  upcloud: sysVendor('UpCloud'),
  vultr: sysVendor('Vultr'),
};
