import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { providers } from '../../providers/index.ts';
import { selectProvider } from '../../src/discovery/detect.ts';
import { readMachineFacts } from '../../src/discovery/machine-facts.ts';
import { recording } from '../support/fake-clouds.ts';

type Files = Readonly<Record<string, string>>;

/** What `auto` takes on a machine with these files, names without a slash below /sys/class/dmi/id. */
function providerOf(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), 'cloudsip-machine-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, name.startsWith('/') ? name : `sys/class/dmi/id/${name}`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${text}\n`);
    }
    return selectProvider(providers, 'auto', readMachineFacts(root, [])).name;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** What a person would call the machine, what its firmware says, which provider is right. */
const MACHINES: readonly [what: string, files: Files, provider: string][] = [
  ['EC2 by its board', { board_vendor: 'Amazon EC2' }, 'ec2'],
  ['EC2 by its BIOS', { bios_vendor: 'Amazon EC2', bios_version: '1.0' }, 'ec2'],
  ['EC2 by its asset tag', { board_asset_tag: 'i-0af01c0123456789a' }, 'ec2'],
  ['EC2 Xen by the hypervisor', { '/sys/hypervisor/uuid': 'ec2c6e2f-5fac-4fc7-9c82-74127ec14bbb' }, 'ec2'],
  ['EC2 Xen by the version of the BIOS', { bios_version: '4.2.amazon', bios_vendor: 'Xen' }, 'ec2'],
  [
    'Compute Engine',
    { product_name: 'Google Compute Engine', sys_vendor: 'Google', bios_vendor: 'Google' },
    'gcp',
  ],
  ['Compute Engine by its product alone', { product_name: 'Google Compute Engine' }, 'gcp'],
  ['Compute Engine of the old name', { product_name: 'Google', bios_vendor: 'Google' }, 'gcp'],
  ['Oracle Cloud', { chassis_asset_tag: 'OracleCloud.com', sys_vendor: 'QEMU' }, 'oci'],
  ['DigitalOcean', { sys_vendor: 'DigitalOcean', product_name: 'Droplet' }, 'digitalocean'],
  ['Hetzner', { sys_vendor: 'Hetzner', product_name: 'vServer' }, 'hetzner'],
  ['Vultr', { sys_vendor: 'Vultr', product_name: 'VC2' }, 'vultr'],
  ['Linode', { sys_vendor: 'Linode', product_name: 'Compute Instance' }, 'linode'],
  ['Linode by its new name', { sys_vendor: 'Akamai' }, 'linode'],
  ['Alibaba', { product_name: 'Alibaba Cloud ECS', sys_vendor: 'Alibaba Cloud' }, 'alibaba'],
  ['OpenStack', { product_name: 'OpenStack Nova', sys_vendor: 'OpenStack Foundation' }, 'openstack'],
  ['OpenStack of RDO', { product_name: 'OpenStack Compute', sys_vendor: 'Red Hat' }, 'openstack'],
  ['Open Telekom Cloud', { chassis_asset_tag: 'OpenTelekomCloud' }, 'openstack'],
  ['Huawei Cloud', { chassis_asset_tag: 'HUAWEICLOUD' }, 'openstack'],
  ['SAP', { chassis_asset_tag: 'SAP CCloud VM', sys_vendor: 'VMware, Inc.' }, 'openstack'],
  ['Samsung', { chassis_asset_tag: 'Samsung Cloud Platform' }, 'openstack'],
  ['OpenStack on VMware', { chassis_asset_tag: 'OpenStack Nova', sys_vendor: 'VMware, Inc.' }, 'openstack'],
  ['IBM VPC', { chassis_vendor: 'IBM:Cloud Compute Server 1.0:bx2-2x8' }, 'ibm'],
  ['IBM VPC by its asset tag', { chassis_asset_tag: 'ibmcloud', chassis_vendor: 'QEMU' }, 'ibm'],
  ['Tencent', { sys_vendor: 'Tencent Cloud', product_name: 'CVM' }, 'tencent'],
  ['Scaleway', { sys_vendor: 'Scaleway', product_name: 'SCW-DEV1-S' }, 'scaleway'],
  ['UpCloud', { sys_vendor: 'UpCloud' }, 'upcloud'],
  ['Exoscale', { product_name: 'Exoscale Compute Platform' }, 'exoscale'],

  ['Hyper-V at home', { sys_vendor: 'Microsoft Corporation', product_name: 'Virtual Machine' }, 'local'],
  [
    'Hyper-V with an asset tag of its own',
    {
      sys_vendor: 'Microsoft Corporation',
      board_vendor: 'Microsoft Corporation',
      chassis_vendor: 'Microsoft Corporation',
      chassis_asset_tag: '0123-4567-8901-2345-6789-0123-45',
    },
    'local',
  ],
  [
    'KVM at home',
    { sys_vendor: 'QEMU', product_name: 'Standard PC (Q35 + ICH9, 2009)', bios_vendor: 'SeaBIOS' },
    'local',
  ],
  ['libvirt of Red Hat', { sys_vendor: 'Red Hat', product_name: 'KVM', chassis_vendor: 'Red Hat' }, 'local'],
  ['VMware', { sys_vendor: 'VMware, Inc.', product_name: 'VMware Virtual Platform' }, 'local'],
  ['VirtualBox', { sys_vendor: 'innotek GmbH', product_name: 'VirtualBox' }, 'local'],
  ['Xen at home', { sys_vendor: 'Xen', bios_version: '4.17.3', product_name: 'HVM domU' }, 'local'],
  [
    'a Xen host that is not Amazon',
    { '/sys/hypervisor/uuid': 'ab2c6e2f-5fac-4fc7-9c82-74127ec14bbb' },
    'local',
  ],
  ['an inventory number that begins like an instance', { board_asset_tag: 'i-2024-server-7' }, 'local'],
  ['an instance id in the wrong place', { chassis_asset_tag: 'i-0af01c0123456789a' }, 'local'],
  [
    'Outscale, whose metadata resembles EC2',
    { sys_vendor: '3DS Outscale', product_name: '3DS Outscale VM' },
    'local',
  ],
  ['an imitation of Compute Engine', { product_name: 'Google Compute Engine Emulator' }, 'local'],
  ['a BIOS of Google without its MAC', { bios_vendor: 'Google', product_name: 'Pixelbook' }, 'local'],
  ['Google in the BIOS alone', { bios_vendor: 'Google', product_name: 'Standard PC' }, 'local'],
  ['a Chromebook', { sys_vendor: 'GOOGLE', product_name: 'Kevin', bios_vendor: 'coreboot' }, 'local'],
  ['a server of Oracle', { sys_vendor: 'Oracle Corporation', product_name: 'ORACLE SERVER X9-2' }, 'local'],
  ['a server of IBM', { sys_vendor: 'IBM', product_name: 'System x3650', chassis_vendor: 'IBM' }, 'local'],
  ['a server of Huawei', { sys_vendor: 'Huawei', product_name: 'RH2288H V3' }, 'local'],
  ['a Hetzner robot server', { sys_vendor: 'FUJITSU', board_vendor: 'FUJITSU' }, 'local'],
  ['a name that only begins alike', { sys_vendor: 'DigitalOceanics', product_name: 'Exoscaled' }, 'local'],
  ['a machine whose firmware says nothing', {}, 'local'],
];

describe('auto takes', () => {
  for (const [what, files, expected] of MACHINES) {
    test(`${expected} on ${what}`, () => assert.equal(providerOf(files), expected));
  }
});

/** The names that the recording has for what cloudsip calls otherwise, or knows no provider for. */
const RENAMED: Readonly<Record<string, string>> = {
  'ec2-nitro': 'ec2',
  'ec2-xen-hvm': 'ec2',
  'ec2-xen-pv': 'ec2',
  'openstack-rdo': 'openstack',
  gce: 'gcp',
  'ibm-vpc': 'ibm',
  outscale: 'local',
  // Recognised by what only root may read: an agent's findings must not depend on its rights.
  'ec2-xen-hvm-swapped': 'local',
  'gce-serial': 'local',
};
describe('the machines that cloud-init knows', () => {
  type Recorded = Readonly<Record<string, string | readonly string[]>>;
  const machines = JSON.parse(recording('dmi/ds-identify-dmi.json')) as Readonly<
    Record<string, Recorded | readonly string[]>
  >;
  for (const [name, machine] of Object.entries(machines)) {
    const variants: Files[] = Array.isArray(machine)
      ? machine.map((tag: string) => ({ chassis_asset_tag: tag }))
      : variantsOf(machine as Recorded);
    for (const files of variants) {
      const expected = name === 'openstack-asset-tags' ? 'openstack' : (RENAMED[name] ?? name);
      test(`${name}: ${Object.values(files).join(', ')}`, () => assert.equal(providerOf(files), expected));
    }
  }
});

/** A value may be one of a list, and `*` in it anything. */
function variantsOf(machine: Readonly<Record<string, string | readonly string[]>>): Files[] {
  let variants: Record<string, string>[] = [{}];
  for (const [key, value] of Object.entries(machine)) {
    const values = typeof value === 'string' ? [value.replace('*', ' Compute Platform')] : value;
    variants = variants.flatMap((files) => values.map((each) => ({ ...files, [key]: each })));
  }
  return variants;
}
