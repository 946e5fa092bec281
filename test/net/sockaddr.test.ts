import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressAt, sockaddrWords } from '../../src/net/sockaddr.ts';

const ipv4 = ['0.0.0.0', '127.0.0.1', '10.0.0.34', '255.255.255.255', '1.2.3.200'];
for (const address of ipv4) {
  test(`${address} goes into a sockaddr and comes back`, () => {
    const words = sockaddrWords('ipv4', address)!;
    assert.deepEqual([...new Uint8Array(words.buffer, 4, 4)], address.split('.').map(Number));
    assert.equal(addressAt('ipv4', words, 0), address);
  });
}

const ipv6: [string, string][] = [
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ['::ffff:10.1.2.3', '::ffff:10.1.2.3'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['fe80::1%987654', 'fe80::1%987654'],
];
for (const [address, canonical] of ipv6) {
  test(`${address} comes back as ${canonical}`, () => {
    assert.equal(addressAt('ipv6', sockaddrWords('ipv6', address)!, 0), canonical);
  });
}

test('IPv6 stands in network order', () => {
  const words = sockaddrWords('ipv6', '2001:db8::1234')!;
  const bytes = [0x20, 0x01, 0x0d, 0xb8, ...Array<number>(10).fill(0), 0x12, 0x34];
  assert.deepEqual([...new Uint8Array(words.buffer, 8, 16)], bytes);
});

test('what is no address of the family has no sockaddr', () => {
  for (const text of ['', 'localhost', '::1', '1.2.3', '1.2.3.256'])
    assert.equal(sockaddrWords('ipv4', text), undefined);
  for (const text of ['', 'localhost', '1.2.3.4', '[::1]', ':::'])
    assert.equal(sockaddrWords('ipv6', text), undefined);
});
