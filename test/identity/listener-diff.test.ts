import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffListeners } from '../../src/identity/listener-diff.ts';
import type { Listener, TransportName } from '../../src/net/listener.ts';

const listener = (address: string, advertised?: string, transport: TransportName = 'udp'): Listener => ({
  transport,
  bound: { address, port: 5060 },
  advertised: advertised === undefined ? undefined : { address: advertised, port: 5060 },
});

test('boot is the difference from nothing', () => {
  const planned = [listener('10.0.0.1'), listener('10.0.0.2')];
  assert.deepEqual(diffListeners([], planned), { added: planned, readvertised: [], retired: [] });
});

test('added, re-advertised, retired, and what stays as it is', () => {
  const same = listener('10.0.0.1', '203.0.113.1');
  const moved = listener('10.0.0.2', '203.0.113.2');
  const bare = listener('10.0.0.3', '203.0.113.3');
  const gone = listener('10.0.0.4');
  const added = listener('10.0.0.1', '203.0.113.1', 'tcp');
  const diff = diffListeners(
    [same, moved, bare, gone],
    [listener('10.0.0.1', '203.0.113.1'), listener('10.0.0.2', '203.0.113.9'), listener('10.0.0.3'), added],
  );
  assert.deepEqual(diff.added, [added]);
  assert.deepEqual(diff.retired, [gone]);
  assert.equal(diff.readvertised.length, 2);
  assert.equal(diff.readvertised[0]?.running, moved);
  assert.deepEqual(diff.readvertised[0]?.advertised, { address: '203.0.113.9', port: 5060 });
  assert.equal(diff.readvertised[1]?.running, bare);
  assert.equal(diff.readvertised[1]?.advertised, undefined);
});
