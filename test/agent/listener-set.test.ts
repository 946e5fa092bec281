import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListenerSet } from '../../src/agent/listener-set.ts';
import type { Listener } from '../../src/net/listener.ts';
import type { Transport } from '../../src/sip/transport/transport.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** One open listener, with calls and requests that the test sets. */
async function build() {
  const clock = new ManualClock();
  const calls = new Set<string>();
  const unanswered = new Set<string>();
  let closed = 0;
  const listeners = new ListenerSet({
    clock,
    calls: {
      get calls() {
        return calls.size;
      },
      keys: () => calls,
      has: (key) => calls.has(key),
    },
    unanswered: () => unanswered,
    open: async (listener) =>
      ({ listener, close: async () => void closed++ }) as Partial<Transport> as Transport,
  });
  const listener: Listener = {
    transport: 'udp',
    bound: { address: '10.0.0.1', port: 5060 },
    advertised: undefined,
  };
  assert.deepEqual(await listeners.add([listener], () => {}), []);
  return { clock, calls, unanswered, listeners, listener, closed: () => closed };
}

test('a call that rang when its listener was retired is served to its end, however long it rang', async () => {
  const { clock, calls, unanswered, listeners, listener, closed } = await build();
  unanswered.add('ringing');
  await listeners.retire([listener], () => true);
  clock.advance(120_000);
  unanswered.delete('ringing');
  calls.add('answered');
  unanswered.add('of another listener');
  clock.advance(3_600_000);
  assert.deepEqual([listeners.retiring.length, closed()], [1, 0]);
  calls.delete('answered');
  calls.add('that began later');
  clock.advance(5_000);
  assert.deepEqual([listeners.retiring.length, closed(), clock.pending], [0, 1, 0]);
});

test('a call that rang and was refused keeps no listener', async () => {
  const { clock, unanswered, listeners, listener, closed } = await build();
  unanswered.add('ringing');
  await listeners.retire([listener], () => true);
  clock.advance(60_000);
  assert.equal(closed(), 0);
  unanswered.clear();
  clock.advance(5_000);
  assert.deepEqual([listeners.retiring.length, closed(), clock.pending], [0, 1, 0]);
});

test('a socket that waits for its name serves nobody until it is added, and is closed where it is not', async () => {
  const { listeners, closed } = await build();
  const at = (address: string): Listener => ({
    transport: 'udp',
    bound: { address, port: 5060 },
    advertised: undefined,
  });
  const [one, other] = [at('10.0.0.2'), at('10.0.0.3')];
  const held = await listeners.hold([one, other]);
  assert.deepEqual([...held.keys()], [one, other]);
  assert.equal(listeners.transportOf(one), undefined);
  assert.ok(listeners.isHeld(held.get(one)!) && listeners.isHeld(held.get(other)!));
  const named = { ...one, advertised: { address: '203.0.113.5', port: 5060 } };
  assert.deepEqual(await listeners.add([named], () => {}), []);
  assert.equal(listeners.transportOf(one), held.get(one));
  assert.deepEqual(held.get(one)?.listener.advertised, named.advertised);
  assert.ok(!listeners.isHeld(held.get(one)!));
  await listeners.release();
  assert.ok(!listeners.isHeld(held.get(other)!));
  assert.equal(closed(), 1);
});
