import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bracket,
  familyOf,
  formatEndpoint,
  isPort,
  isUnspecified,
  normalizeHost,
  unbracket,
} from '../../src/net/address.ts';

test('a host has one spelling whatever came', () => {
  const table: [string, string][] = [
    ['10.0.0.15', '10.0.0.15'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::0001]', '2001:db8::1'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['[::FFFF:a00:7]', '10.0.0.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['SIP.Example.COM.', 'sip.example.com'],
    ['', ''],
  ];
  for (const [given, expected] of table) assert.equal(normalizeHost(given), expected, given);
});

test('the family of an address, and none of a name', () => {
  assert.equal(familyOf('10.0.0.1'), 'ipv4');
  assert.equal(familyOf('[::1]'), 'ipv6');
  assert.equal(familyOf('::1'), 'ipv6');
  for (const name of ['example.com', '10.0.0', '010.0.0.1', '10.0.0.1:5060', '[10.0.0.1]', '[]', '']) {
    assert.equal(familyOf(name), undefined, name);
  }
});

test('brackets are put on and taken off once', () => {
  assert.equal(bracket('2001:db8::1'), '[2001:db8::1]');
  assert.equal(bracket('[2001:db8::1]'), '[2001:db8::1]');
  assert.equal(bracket('example.com'), 'example.com');
  assert.equal(unbracket('[2001:db8::1]'), '2001:db8::1');
  assert.equal(unbracket('[2001:db8::1'), '[2001:db8::1');
  assert.equal(formatEndpoint({ address: '2001:db8::1', port: 5060 }), '[2001:db8::1]:5060');
  assert.equal(formatEndpoint({ address: '10.0.0.1', port: 5060 }), '10.0.0.1:5060');
});

test('the unspecified addresses', () => {
  assert.ok(isUnspecified('0.0.0.0'));
  assert.ok(isUnspecified('::'));
  assert.ok(isUnspecified('0:0:0:0:0:0:0:0'));
  assert.ok(!isUnspecified('10.0.0.0'));
  assert.ok(!isUnspecified('::1'));
});

test('a port is 1 to 65535 in plain digits', () => {
  for (const good of ['1', '5060', '65535']) assert.ok(isPort(good), good);
  for (const bad of ['', '0', '05060', '65536', '-1', '5060 ', '1e3', '99999']) assert.ok(!isPort(bad), bad);
});
