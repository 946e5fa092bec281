import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../providers/index.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { startFakeCloud } from '../support/fake-cloud.ts';
import * as clouds from '../support/fake-clouds.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const device = (name: string, mac: string, ...addresses: string[]): OsInterface => ({
  name,
  mac,
  internal: false,
  addresses: addresses.map((text) => {
    const [address = '', prefix] = text.split('/');
    return { address, prefixLength: Number(prefix), family: address.includes(':') ? 'ipv6' : 'ipv4' };
  }),
});

async function discover(
  name: string,
  model: clouds.CloudModel,
  interfaces: readonly OsInterface[] = [],
): Promise<Topology> {
  const provider = providers.find((each) => each.name === name);
  assert.ok(provider, `${name} is not registered`);
  await using cloud = await startFakeCloud(model.documents, model.gate?.().gate);
  const context: DiscoveryContext = {
    facts: { dmi: {}, interfaces },
    clock: new ImpatientClock(900),
    log: quietLog(),
    env: { CLOUDSIP_METADATA_ENDPOINT: cloud.url },
    configuration: undefined,
  };
  const topology = await provider.discover(context, new AbortController().signal);
  assert.equal(topology.provider, name);
  return topology;
}

/** `10.0.0.5 as 203.0.113.5`, `10.0.0.5 as ?` where the cloud does not know, `… (os)` where it did not say. */
function shown(topology: Topology): string[] {
  return topology.interfaces.map((nic) => {
    const addresses = nic.addresses.map((mapping) => {
      const as = mapping.publicUnknown
        ? ' as ?'
        : mapping.publicAddress
          ? ` as ${mapping.publicAddress}`
          : '';
      return `${mapping.privateAddress}${as}${mapping.provenance === 'imds' ? '' : ` (${mapping.provenance})`}`;
    });
    const name = nic.osName === undefined ? '' : ` ${nic.osName}`;
    return `${nic.mac}${name}: ${addresses.join(', ')} in ${nic.subnets.join(', ')}`.trim();
  });
}

interface Case {
  readonly what: string;
  readonly provider: string;
  readonly model: clouds.CloudModel;
  readonly os?: readonly OsInterface[];
  readonly interfaces: readonly string[];
  readonly local: readonly string[];
  readonly notes?: RegExp;
}

const NO_MAC = '00:00:00:00:00:00';

const CASES: readonly Case[] = [
  {
    what: 'a bare-metal machine with a secondary VNIC on a VLAN',
    provider: 'oci',
    model: clouds.oci('oci/vnics-bare-metal-secondary.json'),
    os: [
      device('ens2f0', '90:e2:ba:d4:f1:68', '10.0.0.8/24'),
      device('ens2f0.1', '02:00:17:05:cf:51', '10.0.4.5/24', '10.0.4.6/24'),
    ],
    interfaces: [
      '90:e2:ba:d4:f1:68 ens2f0: 10.0.0.8 as ? in 10.0.0.0/24',
      '02:00:17:05:cf:51 ens2f0.1: 10.0.4.5 as ?, 10.0.4.6 as ? (os) in 10.0.4.0/24',
    ],
    local: ['10.0.0.0/24', '10.0.4.0/24'],
    notes: /names no public addresses/,
  },
  {
    what: 'two VNICs, the second of IPv6 alone with a network that is called <null>',
    provider: 'oci',
    model: clouds.oci('oci/vnics-vm-dualstack-secondary.json'),
    interfaces: [
      '02:00:17:0d:6b:be: 10.0.0.183 as ?, 2603:c020:400d:5dbb:e94a:a85d:26e3:e0d4 in 10.0.0.0/24, 2603:c020:400d:5dbb::/64',
      '02:00:17:18:f6:ff: 2603:c020:400d:5d7e:aacc:8e5f:3b1b:3a4a in 2603:c020:400d:5d7e::/64',
    ],
    local: ['10.0.0.0/24', '2603:c020:400d:5dbb::/64', '2603:c020:400d:5d7e::/64'],
  },
  {
    what: 'a machine of IPv6 alone',
    provider: 'oci',
    model: clouds.oci('oci/vnics-vm-ipv6-only.json'),
    interfaces: ['02:00:17:15:92:4e: 2603:c020:400d:5d7e:c2af:e153:ebe2:2478 in 2603:c020:400d:5d7e::/64'],
    local: ['2603:c020:400d:5d7e::/64'],
  },
  {
    what: 'two VNICs in one subnet',
    provider: 'oci',
    model: clouds.oci('oci/vnics-vm-secondary.json'),
    interfaces: [
      '02:00:17:05:d1:db: 10.0.0.230 as ? in 10.0.0.0/24',
      '00:00:17:02:2b:b1: 10.0.0.231 as ? in 10.0.0.0/24',
    ],
    local: ['10.0.0.0/24'],
  },
  {
    what: "another project's machine",
    provider: 'oci',
    model: clouds.oci('oci/talos-vnics.json', 'oci/talos-instance.json'),
    interfaces: ['02:00:17:00:00:00: 172.16.1.11 as ?, 2603:a:b:c::1234 in 172.16.1.0/24, 2603:a:b:c::/64'],
    local: ['172.16.1.0/24', '2603:a:b:c::/64'],
  },
  {
    what: 'a droplet without a reserved address: nothing arrives at the anchor',
    provider: 'digitalocean',
    model: clouds.single('/metadata/v1.json', 'digitalocean/v1-a.json'),
    interfaces: [
      '04:01:57:d1:9e:01: 192.0.0.20, 2604:a880:800:0:1000:: in 192.0.0.0/24, 2604:a880:800::/64',
      '04:01:57:d1:9e:02: 10.132.6.205 in 10.132.0.0/16',
    ],
    local: ['10.132.0.0/16'],
  },
  {
    what: 'a droplet with a reserved address, which arrives at the anchor',
    provider: 'digitalocean',
    model: clouds.single('/metadata/v1.json', 'digitalocean/v1-b.json'),
    os: [device('eth0', 'ae:cc:08:7c:88:00', '45.55.249.133/18', '10.17.0.5/16', 'fe80::1/64')],
    interfaces: ['ae:cc:08:7c:88:00 eth0: 45.55.249.133, 10.17.0.5 as 138.197.59.92 in 45.55.192.0/18'],
    local: [],
  },
  {
    what: 'a droplet of today, IPv6 in upper case',
    provider: 'digitalocean',
    model: clouds.single('/metadata/v1.json', 'digitalocean/talos-v1.json'),
    interfaces: [
      '12:2f:49:0c:eb:c0: 128.199.52.32, 2a03:b0c0:2:d0::1478:3001 in 128.199.32.0/19, 2a03:b0c0:2:d0::/64',
      '2a:3c:79:3d:f3:b7: 10.133.0.2 in 10.133.0.0/16',
    ],
    local: ['10.133.0.0/16'],
  },
  {
    what: 'a server with a private network and a floating address that somebody configured',
    provider: 'hetzner',
    model: clouds.hetzner({
      '': 'hetzner/metadata.yaml',
      '/private-networks': 'hetzner/private-networks.yaml',
    }),
    os: [
      device(
        'eth0',
        '96:00:00:08:19:da',
        '192.168.0.2/32',
        '2a01:4f8:beef:beef::1/64',
        '2a01:4f8:beef:beef:1234::9/64',
        '203.0.113.77/32',
      ),
      device('enp7s0', '86:00:00:aa:5d:f8', '10.1.0.2/32'),
    ],
    interfaces: [
      '96:00:00:08:19:da eth0: 192.168.0.2, 2a01:4f8:beef:beef::1, 203.0.113.77 (os) in 2a01:4f8:beef:beef::/64, 203.0.113.77/32',
      '86:00:00:aa:5d:f8 enp7s0: 10.1.0.2 in 10.1.0.0/24',
    ],
    local: ['10.1.0.0/16', '10.1.0.0/24'],
  },
  {
    what: 'a server with two private networks, the network configuration in the document',
    provider: 'hetzner',
    model: clouds.hetzner({
      '': 'hetzner/afterburn-metadata.yaml',
      '/private-networks': 'hetzner/afterburn-private-networks.yaml',
    }),
    interfaces: [
      '00:00:00:00:00:00: 1.2.3.4, a00:a0:a000:a000::1 in a00:a0:a000:a000::/64',
      '86:00:00:98:40:6e: 10.0.0.2 in 10.0.0.0/24',
      '86:00:00:98:40:6d: 10.128.0.2 in 10.128.0.0/16',
    ],
    local: ['10.0.0.0/16', '10.128.0.0/16', '10.0.0.0/24'],
  },
  {
    what: 'a server whose document lacks the network configuration, so that it is asked for',
    provider: 'hetzner',
    model: {
      documents: {
        '/hetzner/v1/metadata': 'public-ipv4: 1.2.3.4\n',
        '/hetzner/v1/metadata/network-config': clouds.recording('hetzner/afterburn-network-config.yaml'),
      },
      main: '/hetzner/v1/metadata',
    },
    interfaces: ['00:00:00:00:00:00: 1.2.3.4, 1a00:20a0:a000:a000::1 in 1a00:20a0:a000:a000::/64'],
    local: [],
  },
  {
    what: 'a MAC without leading zeros, name servers among the interfaces',
    provider: 'hetzner',
    model: {
      documents: {
        '/hetzner/v1/metadata': 'public-ipv4: 1.2.3.4\n',
        '/hetzner/v1/metadata/network-config': clouds.recording('hetzner/talos-network-config.yaml'),
      },
      main: '/hetzner/v1/metadata',
    },
    interfaces: ['96:00:00:01:02:03: 1.2.3.4, 2a01:4f8:1:2::1 in 2a01:4f8:1:2::/64'],
    local: [],
  },
  {
    what: 'an elastic address in front of the primary address, a secondary one of which nobody knows',
    provider: 'alibaba',
    model: clouds.alibabaRecorded(),
    interfaces: ['00:16:3e:14:59:58: 172.16.111.222 as 121.66.77.88, 172.16.101.215 as ? in 172.16.101.0/24'],
    local: ['172.16.0.0/12', '172.16.101.0/24'],
    notes: /primary interface's first address alone/,
  },
  {
    what: 'lists in JSON, an assigned public address, IPv6',
    provider: 'alibaba',
    model: clouds.alibabaSummarised(),
    interfaces: ['00:16:3e:00:00:01: 192.168.1.10 as 203.0.113.10, 2408:4000::10 in'],
    local: [],
  },
  {
    what: 'three interfaces, all by DHCP: the machine knows their addresses, the cloud no floating one',
    provider: 'openstack',
    model: clouds.openstack(
      'openstack/network_data-1.json',
      'openstack/openstack-meta_data.json',
      'openstack/configdrive-ec2-meta-data.json',
    ),
    os: [
      device('ens3', 'fa:16:3e:69:b0:58', '10.0.0.5/24', 'fe80::5/64'),
      device('ens4', 'fa:16:3e:d4:57:ad', '10.0.1.5/24'),
    ],
    interfaces: [
      'fa:16:3e:69:b0:58 ens3: 10.0.0.5 (os) in 10.0.0.0/24',
      'fa:16:3e:d4:57:ad ens4: 10.0.1.5 (os) in 10.0.1.0/24',
      'fa:16:3e:05:30:fe:  in',
    ],
    local: ['10.0.0.0/24', '10.0.1.0/24'],
  },
  {
    what: 'public addresses on the interfaces: nothing in front of them, whatever is floating',
    provider: 'openstack',
    model: clouds.openstack(
      'openstack/network_data-2.json',
      'openstack/talos-meta_data.json',
      'openstack/ec2-meta-data.json',
    ),
    interfaces: ['fa:16:3e:dd:50:9a: 2.2.2.10 in 2.2.2.8/29', 'fa:16:3e:a8:14:69: 3.3.3.24 in 3.3.3.0/27'],
    local: [],
  },
  {
    what: 'two private addresses and one floating: nobody says in front of which',
    provider: 'openstack',
    model: clouds.openstack(
      'openstack/network_data-3.json',
      'openstack/afterburn-openstack-meta_data.json',
      'openstack/ec2-meta-data.json',
    ),
    interfaces: [
      'fa:16:3e:dd:50:9a: 172.17.48.18 as ?, fdb8:52d0:9d14:0:f816:3eff:fe9f:70d in 172.17.48.0/25, fdb8:52d0:9d14::/64',
      'fa:16:3e:a8:14:69: 172.16.48.13 as ? in 172.16.48.0/25',
    ],
    local: ['172.17.48.0/25', 'fdb8:52d0:9d14::/64', '172.16.48.0/25'],
    notes: /names the floating address 0\.0\.0\.1, but not the private address behind it/,
  },
  {
    what: 'VLANs on a bond, one private address: the floating one stands in front of it',
    provider: 'openstack',
    model: clouds.openstack(
      'openstack/network_data-bond.json',
      'openstack/openstack-meta_data.json',
      'openstack/ec2-meta-data.json',
    ),
    interfaces: [
      'fa:16:3e:b3:72:30: 2.2.2.13 in 2.2.2.8/29',
      'fa:16:3e:66:ab:a6: 10.0.1.5 as 0.0.0.1 in 10.0.1.0/29',
    ],
    local: ['10.0.1.0/29'],
  },
  {
    what: 'a VLAN, and a service that does not tell of floating addresses',
    provider: 'openstack',
    model: clouds.openstack('openstack/network_data-vlan.json', 'openstack/openstack-meta_data.json'),
    interfaces: ['fa:16:3e:b3:72:30: 10.0.1.5 as ? in 10.0.1.0/29'],
    local: ['10.0.1.0/29'],
    notes: /does not tell of floating addresses/,
  },
  {
    what: 'every kind of link: a VLAN has the MAC of the bond below it, DHCP addresses come from the machine',
    provider: 'openstack',
    model: clouds.openstack(
      'openstack/talos-network_data.json',
      'openstack/talos-meta_data.json',
      'openstack/configdrive-ec2-meta-data.json',
    ),
    os: [
      device('bond0', '4c:d9:8f:b3:34:f7', '94.156.45.48/24'),
      device('bond0.100', '4c:d9:8f:b3:34:f7', '192.168.100.9/24'),
    ],
    interfaces: [
      'a4:bf:00:10:20:30: 2000:0:100:: in 2000:0:100::/56',
      'a4:bf:00:10:20:31: 10.184.0.244, 2001:db8::3257:9652 in 10.184.0.0/20, 2001:db8::/64',
      'a4:bf:00:10:20:33: fd60:172:16:84:f816:3eff:fe73:5901 in fd60:172:16:84::/64',
      '4c:d9:8f:b3:34:f7 bond0: 94.156.45.48 in 94.156.45.0/24',
      '4c:d9:8f:b3:34:f7 bond0.100: 192.168.100.9 (os) in 192.168.100.0/24',
    ],
    local: ['10.184.0.0/20', 'fd60:172:16:84::/64', '192.168.100.0/24'],
  },
  {
    what: "IBM's classic infrastructure, whose configuration drive is OpenStack's: the public address is on the machine",
    provider: 'openstack',
    model: clouds.openstack(
      'ibm/afterburn-classic-network_data.json',
      'ibm/afterburn-classic-meta_data.json',
    ),
    interfaces: [
      '06:52:db:01:ff:d9: 10.135.202.146 as ? in 10.135.202.128/26',
      '06:f6:71:3b:64:01: 133.133.209.229 in 133.133.209.224/28',
    ],
    local: ['10.135.202.128/26'],
  },
  {
    what: 'one public interface',
    provider: 'vultr',
    model: clouds.single('/v1.json', 'vultr/v1-a.json'),
    interfaces: [
      '56:00:03:15:c4:65: 108.61.89.242, 2001:19f0:5:56c2:5400:3ff:fe15:c465 in 108.61.89.0/24, 2001:19f0:5:56c2::/64',
    ],
    local: [],
  },
  {
    what: 'a private network beside it',
    provider: 'vultr',
    model: clouds.single('/v1.json', 'vultr/v1-b-private-net.json'),
    os: [device('enp1s0', '56:00:03:1b:4e:ca'), device('enp6s0', '5a:00:03:1b:4e:ca', '10.1.112.3/20')],
    interfaces: [
      '56:00:03:1b:4e:ca enp1s0: 45.76.7.171, 2001:19f0:5:28a7:5400:3ff:fe1b:4eca in 45.76.6.0/23, 2001:19f0:5:28a7::/64',
      '5a:00:03:1b:4e:ca enp6s0: 10.1.112.3 in 10.1.112.0/20',
    ],
    local: ['10.1.112.0/20'],
  },
  {
    what: "another project's machine",
    provider: 'vultr',
    model: clouds.single('/v1.json', 'vultr/talos-v1.json'),
    interfaces: [
      '56:00:03:89:53:e0: 95.111.222.111, 2001:19f0:5001:2095:1111:2222:3333:4444 in 95.111.222.0/23, 2001:19f0:5001:2095::/64',
      '5a:00:03:89:53:e0: 10.7.96.3 in 10.7.96.0/20',
    ],
    local: ['10.7.96.0/20'],
  },
  {
    what: 'addresses without MACs, found on the machine',
    provider: 'linode',
    model: clouds.linode(),
    os: [
      device(
        'eth0',
        'f2:3c:93:6e:5c:d9',
        '172.1.2.3/24',
        '192.1.2.3/17',
        '2600:3c06::f03c:93ff:fe6e:5cd9/64',
      ),
    ],
    interfaces: [
      'f2:3c:93:6e:5c:d9 eth0: 172.1.2.3, 192.1.2.3, 2600:3c06::f03c:93ff:fe6e:5cd9 in 172.1.2.0/24, 192.1.0.0/17, 2600:3c06::/64',
    ],
    local: [],
  },
  {
    what: 'a VPC with 1-to-1 NAT: the public address is not on the machine',
    provider: 'linode',
    model: clouds.linode(),
    os: [
      device('docker0', '02:42:00:00:00:01', '172.17.0.1/16'),
      device('eth0', 'f2:3c:93:6e:5c:d9', '10.0.0.2/24'),
    ],
    interfaces: [
      'f2:3c:93:6e:5c:d9 eth0: 10.0.0.2 as ? (os) in 10.0.0.0/24',
      `${NO_MAC}: 192.1.2.3, 2600:3c06::f03c:93ff:fe6e:5cd9 in`,
    ],
    local: ['172.17.0.0/16', '10.0.0.0/24'],
    notes: /names the public address 172\.1\.2\.3, but not the address of the VPC behind it/,
  },
  {
    what: 'each private address with its own public one',
    provider: 'tencent',
    model: clouds.tencent(),
    os: [device('eth0', '52:54:00:bf:b3:51', '10.104.13.59/18')],
    interfaces: ['52:54:00:bf:b3:51 eth0: 10.104.13.59 as 139.199.11.29, 10.104.13.60 in 10.104.0.0/18'],
    local: ['10.104.0.0/18'],
  },
  {
    what: 'two interfaces, a floating address in front of the first',
    provider: 'ibm',
    model: clouds.ibm(),
    os: [
      device('ens3', '02:00:01:00:00:01', '10.240.0.4/24'),
      device('ens4', '02:00:01:00:00:02', '10.240.64.4/24'),
    ],
    interfaces: [
      '02:00:01:00:00:01 ens3: 10.240.0.4 as 52.116.1.2 in 10.240.0.0/24',
      '02:00:01:00:00:02 ens4: 10.240.64.4 in 10.240.64.0/24',
    ],
    local: ['10.240.0.0/24', '10.240.64.0/24'],
  },
  {
    what: 'routed addresses, a private network that the document does not know',
    provider: 'scaleway',
    model: clouds.single('/conf?format=json', 'scaleway/talos-conf-v2.json'),
    os: [
      device('ens2', 'de:00:00:12:34:56', '11.22.222.222/32', '2001:111:222:3333::1/64'),
      device('ens5', '02:00:00:00:11:22', '172.16.0.7/22'),
    ],
    interfaces: [
      'de:00:00:12:34:56 ens2: 11.22.222.222, 2001:111:222:3333::1 in 11.22.222.222/32, 2001:111:222:3333::/64',
    ],
    local: ['172.16.0.0/22'],
  },
  {
    what: 'floating addresses, utility and private networks',
    provider: 'upcloud',
    model: clouds.single('/metadata/v1.json', 'upcloud/metadata.json'),
    interfaces: [
      '3a:d6:ba:4a:36:e7: 94.237.105.53, 94.237.105.50 in 94.237.104.0/22, 94.237.105.50/32',
      '3a:d6:ba:4a:84:cc: 10.6.3.27 in 10.6.0.0/22',
      '3a:d6:ba:4a:63:e7: 2a04:3545:1000:720:38d6:baff:fe4a:63e7 in 2a04:3545:1000:720::/64',
      '3a:d6:ba:4a:8a:e1: 172.30.1.10 in 172.30.1.0/24',
    ],
    local: ['10.6.0.0/22', '172.30.1.0/24'],
  },
  {
    what: "another project's machine",
    provider: 'upcloud',
    model: clouds.single('/metadata/v1.json', 'upcloud/talos-metadata.json'),
    interfaces: [
      '5e:bf:5e:02:28:07: 185.70.197.2, 185.70.197.3 in 185.70.196.0/22, 185.70.197.3/32',
      '5e:bf:5e:02:cd:e0: 10.11.0.2 in 10.11.0.0/22',
      '5e:bf:5e:02:78:a4: 2a04:3544:8000:1000:0:1111:2222:3333 in 2a04:3544:8000:1000::/64',
    ],
    local: ['10.11.0.0/22'],
  },
  {
    what: 'the public address on the machine, an elastic one that somebody configured',
    provider: 'exoscale',
    model: clouds.exoscale(),
    os: [device('eth0', '06:00:00:00:00:01', '1.2.3.4/22', '1.2.3.99/32')],
    interfaces: ['06:00:00:00:00:01 eth0: 1.2.3.4, 1.2.3.99 (os) in 1.2.0.0/22, 1.2.3.99/32'],
    local: [],
  },
  {
    what: 'everything on the bond',
    provider: 'equinixmetal',
    model: clouds.single('/metadata', 'equinixmetal/talos-metadata.json'),
    os: [device('enp1s0', '68:05:ca:b8:f1:f8'), device('bond0', '68:05:ca:b8:f1:f8', '147.75.78.41/31')],
    interfaces: [
      '68:05:ca:b8:f1:f8 bond0: 147.75.78.41, 2604:1380:45d1:fd00::11, 147.75.195.143, 10.66.142.17 in 147.75.78.40/31, 2604:1380:45d1:fd00::10/127, 147.75.195.143/32, 10.66.142.16/31',
    ],
    local: ['10.0.0.0/8'],
  },
];

describe('recorded machines', () => {
  for (const { what, provider, model, os, interfaces, local, notes } of CASES) {
    test(`${provider}: ${what}`, async () => {
      const topology = await discover(provider, model, os);
      assert.deepEqual(shown(topology), interfaces);
      assert.deepEqual(topology.localNetworks, local);
      if (notes) assert.match((topology.notes ?? []).join('\n'), notes);
    });
  }
});
