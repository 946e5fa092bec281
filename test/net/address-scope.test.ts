import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scopeOf } from '../../src/net/address-scope.ts';

test('how far an address reaches', () => {
  const table: [string, string][] = [
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['fe80::1', 'link-local'],
    ['10.0.0.15', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00:ec2::254', 'private'],
    ['172.32.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['203.0.113.5', 'public'],
    ['172.15.255.255', 'public'],
    ['172.16.0.0', 'private'],
    ['100.127.255.255', 'private'],
    ['100.63.255.255', 'public'],
    ['169.253.0.1', 'public'],
    ['::ffff:10.0.0.1', 'private'],
    ['[fd00::1]', 'private'],
    ['febf::1', 'link-local'],
    ['fec0::1', 'public'],
    ['fbff::1', 'public'],
    ['::', 'public'],
    ['fe8::1', 'public'],
    ['2600:1f16::1', 'public'],
  ];
  for (const [address, scope] of table) assert.equal(scopeOf(address), scope, address);
});
