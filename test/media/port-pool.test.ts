import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MediaError } from '../../src/media/media-error.ts';
import { PortPool } from '../../src/media/port-pool.ts';

function takeAll(pool: PortPool): number[] {
  const taken: number[] = [];
  for (let port = pool.take(); port !== undefined; port = pool.take()) taken.push(port);
  return taken;
}

describe('the pool of ports', () => {
  it('gives each even port of the range once, the odd one beside it kept free', () => {
    const taken = takeAll(new PortPool({ from: 10_000, to: 10_009 }));
    assert.deepEqual(taken.toSorted(), [10_000, 10_002, 10_004, 10_006, 10_008]);
  });

  it('stays within a range with odd ends', () => {
    assert.deepEqual(takeAll(new PortPool({ from: 10_001, to: 10_006 })).toSorted(), [10_002, 10_004]);
  });

  it('leaves 65330 out', () => {
    assert.deepEqual(
      takeAll(new PortPool({ from: 65_326, to: 65_335 })).toSorted(),
      [65_326, 65_328, 65_332, 65_334],
    );
  });

  it('gives a port that came back only after all others', () => {
    const pool = new PortPool({ from: 10_000, to: 10_007 });
    const first = pool.take()!;
    pool.giveBack(first);
    assert.deepEqual(takeAll(pool).indexOf(first), 3);
    assert.equal(pool.free, 0);
    assert.equal(pool.take(), undefined);
  });

  it('gives them in an order that cannot be guessed', () => {
    const backwards = new PortPool({ from: 10_000, to: 10_007 }, () => 0);
    assert.notDeepEqual(takeAll(backwards), [10_000, 10_002, 10_004, 10_006]);
    const a = takeAll(new PortPool({ from: 10_000, to: 12_000 }));
    const b = takeAll(new PortPool({ from: 10_000, to: 12_000 }));
    assert.notDeepEqual(a, b);
  });

  it('notices a port that comes back twice', () => {
    const pool = new PortPool({ from: 10_000, to: 10_003 });
    assert.throws(() => pool.giveBack(10_000), RangeError);
  });

  for (const [from, to] of [
    [10_001, 10_002],
    [20_000, 10_000],
    [0, 5000],
    [65_000, 70_000],
  ] as const) {
    it(`refuses ${from}-${to}`, () => {
      assert.throws(
        () => new PortPool({ from, to }),
        (error) => error instanceof MediaError && error.code === 'media.port-range',
      );
    });
  }
});
