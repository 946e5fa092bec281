import type { Topology } from './topology.ts';

/**
 * The standard laboratory. Documentation addresses (RFC 5737) play the internet.
 *
 *     vm ── ens5 10.0.0.15, .16 ─┐                                  ┌─ alice-host 198.51.100.10
 *        └─ ens6 10.0.1.15 ──────┤ router  (1-to-1 NAT,  ── internet┼─ bob-host 198.51.100.20
 *     neighbour 10.0.0.77 ───────┤  203.0.113.5, .6, .7)            └─ home 198.51.100.30 ── home-phone 192.168.1.10
 *     neighbour2 10.0.2.20 ──────┘
 */
export const cloud: Topology = {
  hosts: {
    vm: {
      interfaces: [
        {
          name: 'ens5',
          segment: 'vpc-a',
          mac: '02:00:0a:00:00:0f',
          addresses: ['10.0.0.15/24', '10.0.0.16/24'],
        },
        { name: 'ens6', segment: 'vpc-b', mac: '02:00:0a:00:01:0f', addresses: ['10.0.1.15/24'] },
      ],
      // Two NICs in one VPC: an answer must leave by the NIC of its source address, or the cloud drops it.
      rules: [
        { from: '10.0.0.15', table: 105 },
        { from: '10.0.0.16', table: 105 },
        { from: '10.0.1.15', table: 106 },
      ],
      routes: [
        { to: 'default', via: '10.0.0.1' },
        { to: '10.0.0.0/24', device: 'ens5', table: 105 },
        { to: 'default', via: '10.0.0.1', table: 105 },
        { to: '10.0.1.0/24', device: 'ens6', table: 106 },
        { to: 'default', via: '10.0.1.1', table: 106 },
      ],
    },
    router: {
      interfaces: [
        { name: 'vpc-a', segment: 'vpc-a', addresses: ['10.0.0.1/24'] },
        { name: 'vpc-b', segment: 'vpc-b', addresses: ['10.0.1.1/24'] },
        { name: 'vpc-c', segment: 'vpc-c', addresses: ['10.0.2.1/24'] },
        { name: 'internet', segment: 'internet', addresses: ['198.51.100.1/24'] },
      ],
      loopback: ['169.254.169.254'],
      forwarding: {
        kind: 'cloud',
        outside: 'internet',
        publicPool: '203.0.113.0/24',
        publicAddresses: {
          '10.0.0.15': '203.0.113.5',
          '10.0.0.16': '203.0.113.6',
          '10.0.1.15': '203.0.113.7',
        },
      },
    },
    neighbour: {
      interfaces: [{ name: 'ens0', segment: 'vpc-a', mac: '02:00:0a:00:00:4d', addresses: ['10.0.0.77/24'] }],
      routes: [{ to: 'default', via: '10.0.0.1' }],
    },
    neighbour2: {
      interfaces: [{ name: 'ens0', segment: 'vpc-c', mac: '02:00:0a:00:02:14', addresses: ['10.0.2.20/24'] }],
      routes: [{ to: 'default', via: '10.0.2.1' }],
    },
    'alice-host': {
      interfaces: [{ name: 'eth0', segment: 'internet', addresses: ['198.51.100.10/24'] }],
      routes: [{ to: 'default', via: '198.51.100.1' }],
    },
    'bob-host': {
      interfaces: [{ name: 'eth0', segment: 'internet', addresses: ['198.51.100.20/24'] }],
      routes: [{ to: 'default', via: '198.51.100.1' }],
    },
    home: {
      interfaces: [
        { name: 'wan', segment: 'internet', addresses: ['198.51.100.30/24'] },
        { name: 'lan', segment: 'home-lan', addresses: ['192.168.1.1/24'] },
      ],
      routes: [{ to: 'default', via: '198.51.100.1' }],
      forwarding: { kind: 'home', outside: 'wan' },
    },
    'home-phone': {
      interfaces: [{ name: 'eth0', segment: 'home-lan', addresses: ['192.168.1.10/24'] }],
      routes: [{ to: 'default', via: '192.168.1.1' }],
    },
  },
  metadata: {
    host: 'router',
    address: '169.254.169.254',
    port: 80,
    clients: ['10.0.0.15', '10.0.0.16', '10.0.1.15'],
  },
};
