import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { LogLimit } from '../../src/net/log-limit.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('LogLimit', () => {
  let clock: ManualClock;
  let lines: string[];
  let limit: LogLimit;
  const line = (key: string, text: string = key): void =>
    limit.line(key, (suppressed) => lines.push(`${text} +${suppressed}`));

  beforeEach(() => {
    clock = new ManualClock();
    lines = [];
    limit = new LogLimit(clock, 1000, 4);
  });

  test('writes the first line at once and a lone one needs no timer', () => {
    line('malformed');
    assert.deepEqual(lines, ['malformed +0']);
    assert.equal(clock.pending, 0);
  });

  test('writes the last of a burst when the second ends, with the number left out', () => {
    for (let count = 0; count < 1000; count++) line('malformed', `malformed ${count}`);
    assert.deepEqual(lines, ['malformed 0 +0']);
    clock.advance(999);
    assert.equal(lines.length, 1);
    clock.advance(1);
    assert.deepEqual(lines.slice(1), ['malformed 999 +998']);
  });

  test('never writes more than one line a second for a key under a steady flood', () => {
    for (let step = 0; step < 1000; step++) {
      line('flood');
      clock.advance(10);
    }
    assert.equal(lines.length, 11);
    const told = lines.reduce((sum, text) => sum + 1 + Number(text.split('+')[1]), 0);
    assert.equal(told, 1000, 'every line is either written or counted');
  });

  test('a second later the key is free again', () => {
    line('malformed');
    clock.advance(1000);
    line('malformed');
    assert.deepEqual(lines, ['malformed +0', 'malformed +0']);
  });

  test('keys do not hold each other back', () => {
    line('a');
    line('b');
    line('a');
    assert.deepEqual(lines, ['a +0', 'b +0']);
  });

  test('keys above the bound share one line', () => {
    for (let source = 0; source < 100; source++) line(`from ${source}`);
    assert.deepEqual(lines, ['from 0 +0', 'from 1 +0', 'from 2 +0', 'from 3 +0', 'from 4 +0']);
    clock.advance(1000);
    assert.deepEqual(lines.slice(5), ['from 99 +94']);
    clock.advance(1000);
    line('from 100');
    assert.equal(lines.at(-1), 'from 100 +0', 'ended windows make room for new keys');
  });

  test('a clock that is set back silences nothing', () => {
    let behindMs = 0;
    limit = new LogLimit({
      now: () => clock.now() - behindMs,
      uptime: () => clock.uptime(),
      schedule: (callback, delayMs) => clock.schedule(callback, delayMs),
      cancel: (timer) => clock.cancel(timer),
    });
    line('malformed');
    behindMs = 3_600_000;
    line('malformed');
    clock.advance(1000);
    assert.deepEqual(lines, ['malformed +0', 'malformed +0']);
  });

  test('close writes what waits and leaves no timer', () => {
    line('a');
    line('a');
    line('a');
    limit.close();
    assert.deepEqual(lines, ['a +0', 'a +1']);
    assert.equal(clock.pending, 0);
  });
});
