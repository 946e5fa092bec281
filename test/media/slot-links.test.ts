import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SlotLinks } from '../../src/media/slot-links.ts';
import { maxSlots } from '../../src/media/slot-table.ts';

describe('slot links', () => {
  /** All that lead to a slot, found as the relay finds them: by taking one after the other away. */
  function takeInto(links: SlotLinks, peer: number): number[] {
    const taken: number[] = [];
    for (let slot = links.firstInto(peer); slot >= 0; slot = links.firstInto(peer)) {
      links.set(slot, -1);
      taken.push(slot);
    }
    return taken.sort((a, b) => a - b);
  }

  it('lead nowhere at first, the first and the last slot as well', () => {
    const links = new SlotLinks();
    assert.deepEqual([links.get(0), links.firstInto(0)], [-1, -1]);
    links.set(0, maxSlots - 1);
    links.set(maxSlots - 1, 0);
    assert.deepEqual([links.get(0), links.get(maxSlots - 1)], [maxSlots - 1, 0]);
    assert.deepEqual([links.firstInto(0), links.firstInto(maxSlots - 1)], [maxSlots - 1, 0]);
  });

  it('many lead to one, and each of them can leave', () => {
    for (const leaving of [3, 4, 5]) {
      const links = new SlotLinks();
      for (const slot of [3, 4, 5]) links.set(slot, 9);
      links.set(leaving, -1);
      assert.equal(links.get(leaving), -1);
      assert.deepEqual(
        takeInto(links, 9),
        [3, 4, 5].filter((slot) => slot !== leaving),
      );
    }
  });

  it('a slot that moves leads to the new one alone', () => {
    const links = new SlotLinks();
    links.set(3, 9);
    links.set(4, 9);
    links.set(3, 8);
    links.set(3, 3);
    assert.deepEqual([takeInto(links, 9), takeInto(links, 8), takeInto(links, 3)], [[4], [], [3]]);
  });

  it('agree with a plain map, whatever happens', () => {
    const links = new SlotLinks();
    const plain = new Map<number, number>();
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    for (let round = 0; round < 2000; round++) {
      const slot = random(12);
      const peer = random(13) - 1;
      links.set(slot, peer);
      plain.set(slot, peer);
    }
    for (const [slot, peer] of plain) assert.equal(links.get(slot), peer);
    for (let peer = 0; peer < 12; peer++) {
      const expected = [...plain].filter(([, to]) => to === peer).map(([slot]) => slot);
      assert.deepEqual(
        takeInto(links, peer),
        expected.sort((a, b) => a - b),
      );
    }
  });
});
