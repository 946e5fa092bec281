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

test("an address that is the machine's by a route alone is the loopback interface's", () => {
  const own = (address: string, internal: boolean, cidr: string) =>
    [{ address, family: 'IPv4', mac: MAC, internal, cidr }] as const;
  const list = { lo: own('127.0.0.1', true, '127.0.0.1/8'), ens4: own('10.0.0.15', false, '10.0.0.15/32') };
  const found = readOsInterfaces(list, ['127.0.0.1', '10.0.0.15', '203.0.113.9', '2600:1901::1']);
  assert.deepEqual(
    found.map(({ name, addresses }) => [
      name,
      ...addresses.map((each) => `${each.address}/${each.prefixLength}`),
    ]),
    [
      ['lo', '127.0.0.1/8', '203.0.113.9/32', '2600:1901::1/128'],
      ['ens4', '10.0.0.15/32'],
    ],
  );
});

test('this machine has at least its loopback, marked as internal', () => {
  const loopback = readOsInterfaces().find((device) => device.internal);
  assert.ok(loopback?.addresses.some(({ address }) => address === '127.0.0.1' || address === '::1'));
});
