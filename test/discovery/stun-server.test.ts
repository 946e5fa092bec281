import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_STUN_SERVERS, parseStunServer } from '../../src/discovery/stun-server.ts';

test('a server is a host and a port, 3478 by default', () => {
  for (const [text, host, port] of [
    ['stun.example.com', 'stun.example.com', 3478],
    ['stun.example.com:19302', 'stun.example.com', 19_302],
    ['192.0.2.1', '192.0.2.1', 3478],
    ['192.0.2.1:1', '192.0.2.1', 1],
    ['2001:db8::1', '2001:db8::1', 3478],
    ['[2001:db8::1]:65535', '2001:db8::1', 65_535],
  ] as const) {
    assert.deepEqual(parseStunServer(text), { text, host, port });
  }
});

test('and nothing else', () => {
  for (const text of [
    '',
    ':3478',
    'a b',
    'host:0',
    'host:65536',
    'host:port',
    '[2001:db8::1',
    'http://host',
    'a..b',
    '-a',
    `${'a'.repeat(254)}`,
  ]) {
    assert.equal(parseStunServer(text), undefined, text);
  }
});

test('the default ones are of different operators', () => {
  const operators = DEFAULT_STUN_SERVERS.map((text) =>
    parseStunServer(text)?.host.split('.').slice(-2).join('.'),
  );
  assert.ok(operators.length >= 2);
  assert.equal(new Set(operators).size, operators.length);
});
