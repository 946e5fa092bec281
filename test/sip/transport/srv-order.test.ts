import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderSrv } from '../../../src/sip/transport/srv-order.ts';

const record = (name: string, priority: number, weight: number) => ({ name, priority, weight });

/** Evenly spread numbers in [0, 1): the same at each run. */
function spread(): () => number {
  let state = 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

test('lower priorities come first whatever their weights', () => {
  const records = [record('c', 20, 65535), record('a', 0, 0), record('b', 10, 1)];
  for (const lot of [0, 0.5, 0.999999]) {
    assert.deepEqual(
      orderSrv(records, () => lot).map(({ name }) => name),
      ['a', 'b', 'c'],
    );
  }
});

test('within one priority the weight is the share of being first', () => {
  const random = spread();
  const records = [record('heavy', 0, 75), record('light', 0, 25)];
  let heavy = 0;
  for (let i = 0; i < 4000; i++) if (orderSrv(records, random)[0]!.name === 'heavy') heavy++;
  assert.ok(Math.abs(heavy / 4000 - 0.75) < 0.03, `${heavy} of 4000`);
});

test('weight 0 is drawn seldom, but is always in the list', () => {
  const random = spread();
  const records = [record('some', 0, 9), record('none', 0, 0)];
  let first = 0;
  for (let i = 0; i < 4000; i++) {
    const names = orderSrv(records, random).map(({ name }) => name);
    assert.deepEqual([...names].sort(), ['none', 'some']);
    if (names[0] === 'none') first++;
  }
  assert.ok(Math.abs(first / 4000 - 0.1) < 0.03, `${first} of 4000`);
});

test('the records themselves stay as they are', () => {
  const records = [record('b', 1, 0), record('a', 0, 5), record('c', 0, 0)];
  const copy = structuredClone(records);
  orderSrv(records, Math.random);
  assert.deepEqual(records, copy);
});
