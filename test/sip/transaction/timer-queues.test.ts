import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SingleTimer, TimerQueues } from '../../../src/sip/transaction/timer-queues.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function bench(): {
  clock: ManualClock;
  queues: TimerQueues;
  fired: string[];
  timer(name: string, then?: (timer: SingleTimer) => void): SingleTimer;
} {
  const clock = new ManualClock();
  const start = clock.uptime();
  const fired: string[] = [];
  const timer = (name: string, then?: (timer: SingleTimer) => void): SingleTimer =>
    new SingleTimer({
      timerFired: (self) => {
        fired.push(`${name} ${clock.uptime() - start}`);
        then?.(self);
      },
    });
  return { clock, queues: new TimerQueues(clock), fired, timer };
}

test('timers of several durations fire when each is due, with one clock timer a duration', () => {
  const { clock, queues, fired, timer } = bench();
  queues.start(timer('a'), 500);
  queues.start(timer('long'), 900);
  clock.advance(100);
  queues.start(timer('b'), 500);
  queues.start(timer('c'), 500);
  assert.equal(clock.pending, 2);
  assert.equal(queues.pending, 4);
  clock.advance(10_000);
  assert.deepEqual(fired, ['a 500', 'b 600', 'c 600', 'long 900']);
  assert.equal(queues.pending, 0);
  assert.equal(clock.pending, 0);
});

test('a stopped timer never fires, whether it was first, in the middle or last', () => {
  const { clock, queues, fired, timer } = bench();
  const timers = ['a', 'b', 'c', 'd', 'e'].map((name) => timer(name));
  for (const each of timers) {
    queues.start(each, 500);
    clock.advance(10);
  }
  for (const n of [0, 2, 4]) queues.stop(timers[n]!);
  queues.stop(timers[0]!);
  assert.equal(queues.pending, 2);
  assert.deepEqual(
    timers.map(({ pending }) => pending),
    [false, true, false, true, false],
  );
  clock.advance(1000);
  assert.deepEqual(fired, ['b 510', 'd 530']);
});

test('starting again moves it, also to another duration, and it may start itself', () => {
  const { clock, queues, fired, timer } = bench();
  const moved = timer('moved');
  let rounds = 0;
  const self = timer('self', (again) => {
    if (++rounds < 3) queues.start(again, 500);
  });
  queues.start(moved, 500);
  queues.start(self, 500);
  clock.advance(400);
  queues.start(moved, 500);
  clock.advance(400);
  queues.start(moved, 700);
  clock.advance(10_000);
  assert.deepEqual(fired, ['self 500', 'self 1000', 'moved 1500', 'self 1500']);
});

test('a timer may stop the next that is due at the same moment', () => {
  const { clock, queues, fired, timer } = bench();
  const second = timer('second');
  queues.start(
    timer('first', () => queues.stop(second)),
    500,
  );
  queues.start(second, 500);
  queues.start(timer('third'), 500);
  clock.advance(500);
  assert.deepEqual(fired, ['first 500', 'third 500']);
});
