import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmallMap } from '../../src/proxy/small-map.ts';

/** The same done to a Map, which it has to be like in all. */
test('does what a Map does, with any number of keys and in any order', () => {
  const keys = ['', 'a', 'b', 'c'];
  let state = 12_345;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return (state >> 8) % below;
  };
  const small = new SmallMap<number | undefined>();
  const map = new Map<string, number | undefined>();
  for (let step = 0; step < 2000; step++) {
    const key = keys[random(keys.length)]!;
    if (random(2) === 0) {
      const value = random(4) === 0 ? undefined : step;
      small.set(key, value);
      map.set(key, value);
    } else {
      small.delete(key);
      map.delete(key);
    }
    assert.equal(small.size, map.size);
    assert.deepEqual(
      keys.map((each) => small.get(each)),
      keys.map((each) => map.get(each)),
    );
    assert.deepEqual([...small], [...map]);
  }
});
