import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOsInterfaces } from '../../src/net/os-interfaces.ts';

const MAC = '0A:07:84:3d:6e:38';

test('a label names an address, not an interface', () => {
  const found = readOsInterfaces({
    lo: [
      { address: '127.0.0.1', family: 'IPv4', mac: '00:00:00:00:00:00', internal: true, cidr: '127.0.0.1/8' },
    ],
    ens5: [
      { address: '172.31.44.13', family: 'IPv4', mac: MAC, internal: false, cidr: '172.31.44.13/20' },
      { address: 'fe80::1', family: 'IPv6', mac: MAC, internal: false, cidr: 'fe80::1/64' },
    ],
    'ens5:1': [{ address: '172.31.45.70', family: 'IPv4', mac: MAC, internal: false, cidr: null }],
    gone: undefined,
  });
  assert.deepEqual(found, [
    {
      name: 'lo',
      mac: '00:00:00:00:00:00',
      internal: true,
      addresses: [{ address: '127.0.0.1', prefixLength: 8, family: 'ipv4' }],
    },
    {
      name: 'ens5',
      mac: '0a:07:84:3d:6e:38',
      internal: false,
      addresses: [
        { address: '172.31.44.13', prefixLength: 20, family: 'ipv4' },
        { address: 'fe80::1', prefixLength: 64, family: 'ipv6' },
        { address: '172.31.45.70', prefixLength: 32, family: 'ipv4' },
      ],
    },
  ]);
});

test('this machine has at least its loopback, marked as internal', () => {
  const loopback = readOsInterfaces().find((device) => device.internal);
  assert.ok(loopback?.addresses.some(({ address }) => address === '127.0.0.1' || address === '::1'));
});
