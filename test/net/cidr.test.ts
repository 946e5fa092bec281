import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipv4Number } from '../../src/net/address.ts';
import { parseCidr } from '../../src/net/cidr.ts';

test('membership at the edges of a network', () => {
  const table: [cidr: string, inside: string[], outside: string[]][] = [
    [
      '172.31.32.0/20',
      ['172.31.32.0', '172.31.47.255', '::ffff:172.31.40.1'],
      ['172.31.31.255', '172.31.48.0'],
    ],
    ['10.0.0.15/16', ['10.0.255.255'], ['10.1.0.0']],
    ['128.0.0.0/1', ['255.255.255.255', '128.0.0.0'], ['127.255.255.255']],
    ['0.0.0.0/0', ['0.0.0.0', '203.0.113.5'], ['2001:db8::1']],
    ['203.0.113.5', ['203.0.113.5'], ['203.0.113.6', '203.0.113.4']],
    [
      '2600:1f16:67f:f200:0:0:0:0/56',
      ['2600:1f16:67f:f2ff::1', '[2600:1f16:67f:f200::]'],
      ['2600:1f16:67f:f300::'],
    ],
    ['2001:db8::/0', ['::', 'fe80::1'], ['10.0.0.1']],
    ['::1/128', ['::1'], ['::2', '127.0.0.1']],
  ];
  for (const [text, inside, outside] of table) {
    const network = parseCidr(text);
    assert.ok(network, text);
    for (const address of inside) assert.ok(network.contains(address), `${text} has ${address}`);
    for (const address of outside) assert.ok(!network.contains(address), `${text} lacks ${address}`);
  }
});

test('names and rubbish are in no network', () => {
  const network = parseCidr('0.0.0.0/0')!;
  for (const host of ['example.com', '', '10.0.0', '999.1.1.1']) assert.ok(!network.contains(host), host);
});

test('what is no network is undefined', () => {
  for (const text of [
    '',
    '/16',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '2001:db8::/129',
    'vpc',
    '10.0.0/8',
  ]) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

test('dotted IPv4 as a number', () => {
  assert.equal(ipv4Number('10.0.0.1'), 0x0a000001);
  assert.equal(ipv4Number('255.255.255.255'), 0xffffffff);
  assert.equal(ipv4Number('::1'), undefined);
});
