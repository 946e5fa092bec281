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
