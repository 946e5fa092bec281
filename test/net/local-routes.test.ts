import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLocalRoutes } from '../../src/net/local-routes.ts';

/** With `ip route add to local 203.0.113.9 dev ens4 proto 66 scope host` and a local network beside it. */
const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
           /24 host LOCAL
        |-- 10.0.0.15
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 203.0.113.9
        /32 host LOCAL
Local:
  +-- 127.0.0.0/8 2 0 2
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
`;
const zeros = '00000000000000000000000000000000';
const ipv6Route = (address: string, prefix: string, flags: string, device: string): string =>
  `${address} ${prefix} ${zeros} 00 ${zeros} 00000000 00000002 00000000 ${flags} ${device}`;
const IPV6_ROUTE = [
  ipv6Route('26001901000000000000000000000001', '80', '80200001', 'ens4'),
  ipv6Route('26001901000000000000000000000000', '80', '80300001', 'ens4'),
  ipv6Route('26001901000000000000000000000000', '40', '00000001', 'ens4'),
  ipv6Route('00000000000000000000000000000001', '80', '80200001', 'lo'),
  'half a li',
].join('\n');

function read(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'local-routes-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
    return readLocalRoutes(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('single addresses with a local route count, networks and broadcasts do not', () => {
  assert.deepEqual(read({ fib_trie: FIB_TRIE }), ['10.0.0.15', '203.0.113.9', '127.0.0.1']);
});

test('IPv6: local and up, not anycast', () => {
  assert.deepEqual(read({ ipv6_route: IPV6_ROUTE }), ['2600:1901::1', '::1']);
});

test('tables that are absent or garbled tell of nothing', () => {
  assert.deepEqual(read({}), []);
  assert.deepEqual(read({ fib_trie: '/32 host LOCAL\n'.repeat(3), ipv6_route: '\u0000'.repeat(100) }), []);
});

test('a table without an end is given up', () => {
  const line = '     |-- 10.0.0.15\n        /32 host LOCAL\n';
  assert.deepEqual(read({ fib_trie: line.repeat(200_000) }), ['10.0.0.15']);
});
