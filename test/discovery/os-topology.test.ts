import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateSubnets, subnetOf } from '../../src/discovery/os-topology.ts';
import type { OsAddress, OsInterface } from '../../src/net/os-interfaces.ts';

const at = (text: string): OsAddress => {
  const [address, prefix] = text.split('/');
  return { address: address!, prefixLength: Number(prefix), family: text.includes(':') ? 'ipv6' : 'ipv4' };
};

test('the network of an address', () => {
  const table: [string, string][] = [
    ['10.0.37.15/20', '10.0.32.0/20'],
    ['10.0.0.15/32', '10.0.0.15/32'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['10.0.0.15/0', '0.0.0.0/0'],
    ['2600:1f16:67f:f2ff:1::5/56', '2600:1f16:67f:f200::/56'],
    ['fd00::1/64', 'fd00::/64'],
    ['::1/128', '::1/128'],
    ['2001:db8::8000:0/97', '2001:db8::8000:0/97'],
  ];
  for (const [given, expected] of table) assert.equal(subnetOf(at(given)), expected, given);
});

test('only networks that the internet cannot answer to are private', () => {
  const device: OsInterface = {
    name: 'eth0',
    mac: '02:00:00:00:00:01',
    internal: false,
    addresses: ['10.0.0.15/24', '10.0.0.16/24', '203.0.113.5/24', 'fe80::1/64', 'fd00::2/64'].map(at),
  };
  assert.deepEqual(privateSubnets([device]), ['10.0.0.0/24', 'fd00::/64']);
});
