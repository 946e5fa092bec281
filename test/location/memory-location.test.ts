import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Binding } from '../../src/location/binding.ts';
import { MemoryLocation } from '../../src/location/memory-location.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { binding } from './bindings.ts';

let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
});

const later = (ms: number) => clock.now() + ms;

describe('MemoryLocation', () => {
  test('finds nothing for nobody', () => {
    assert.deepEqual(new MemoryLocation(clock).lookup('nobody'), []);
  });

  test('sorts by q, the given order among equals', () => {
    const location = new MemoryLocation(clock);
    const bindings = [
      binding({ contact: 'sip:a@x', q: 500 }),
      binding({ contact: 'sip:b@x', q: 1000 }),
      binding({ contact: 'sip:c@x', q: 500 }),
      binding({ contact: 'sip:d@x', q: 0 }),
    ];
    assert.equal(location.replace('alice', bindings), true);
    assert.deepEqual(
      location.lookup('alice').map(({ contact }) => contact),
      ['sip:b@x', 'sip:a@x', 'sip:c@x', 'sip:d@x'],
    );
    assert.equal(bindings[0]!.contact, 'sip:a@x', 'what was given stays as it was');
  });

  test('replaces and removes', () => {
    const location = new MemoryLocation(clock);
    location.replace('alice', [binding(), binding({ contact: 'sip:b@x' })]);
    location.replace('alice', [binding({ contact: 'sip:c@x' })]);
    assert.deepEqual(
      location.lookup('alice').map(({ contact }) => contact),
      ['sip:c@x'],
    );
    assert.equal(location.size, 1);
    location.replace('alice', []);
    assert.deepEqual(location.lookup('alice'), []);
    assert.equal(location.size, 0);
  });

  test('names of properties are names like others', () => {
    const location = new MemoryLocation(clock);
    assert.deepEqual(location.lookup('__proto__'), []);
    location.replace('constructor', [binding({ aor: 'constructor' })]);
    assert.equal(location.lookup('constructor').length, 1);
  });

  test('what has expired is not found, though nobody has purged it yet', () => {
    const location = new MemoryLocation(clock);
    location.close();
    location.replace('alice', [
      binding({ contact: 'sip:a@x', expiresAt: later(1000) }),
      binding({ contact: 'sip:b@x', expiresAt: later(1001) }),
    ]);
    clock.advance(1000);
    assert.deepEqual(
      location.lookup('alice').map(({ contact }) => contact),
      ['sip:b@x'],
    );
    assert.deepEqual([...location.bindings()].length, 1);
    assert.equal(location.size, 2);
  });

  test('a lookup copies nothing while all is valid', () => {
    const location = new MemoryLocation(clock);
    location.replace('alice', [binding()]);
    assert.equal(location.lookup('alice'), location.lookup('alice'));
  });

  test('purges the expired and tells which', () => {
    const purged: Binding[] = [];
    const location = new MemoryLocation(clock, { onPurge: (bindings) => purged.push(...bindings) });
    location.replace('alice', [
      binding({ contact: 'sip:a@x', expiresAt: later(500) }),
      binding({ contact: 'sip:b@x', expiresAt: later(5000) }),
    ]);
    location.replace('bob', [binding({ aor: 'bob', expiresAt: later(500) })]);
    clock.advance(1000);
    assert.deepEqual(purged.map(({ contact }) => contact).sort(), ['sip:a@x', 'sip:alice@192.0.2.1:5060']);
    assert.equal(location.size, 1);
    clock.advance(5000);
    assert.equal(location.size, 0);
    assert.equal(purged.length, 3);
  });

  test('purges in batches and comes round to everything', () => {
    const batches: number[] = [];
    const location = new MemoryLocation(clock, { onPurge: (bindings) => batches.push(bindings.length) });
    for (let n = 0; n < 25_000; n++)
      location.replace(`u${n}`, [binding({ aor: `u${n}`, expiresAt: later(500) })]);
    clock.advance(1000);
    assert.equal(location.size, 15_000);
    clock.advance(2000);
    assert.deepEqual(batches, [10_000, 10_000, 5000]);
    assert.equal(location.size, 0);
    location.replace('late', [binding({ aor: 'late', expiresAt: later(500) })]);
    clock.advance(2000);
    assert.equal(location.size, 0);
  });

  test('a full store refuses what is new and serves who is there', () => {
    const location = new MemoryLocation(clock, { mostBindings: 2 });
    location.replace('alice', [binding()]);
    location.replace('bob', [binding({ aor: 'bob' })]);
    assert.equal(location.replace('carol', [binding({ aor: 'carol' })]), false);
    assert.equal(location.replace('bob', [binding({ aor: 'bob' }), binding({ contact: 'sip:b@x' })]), false);
    assert.deepEqual(location.lookup('carol'), []);
    assert.equal(location.lookup('bob').length, 1);
    assert.equal(location.replace('bob', [binding({ aor: 'bob', cseq: 9 })]), true);
    assert.equal(location.lookup('bob')[0]!.cseq, 9);
    location.replace('alice', []);
    assert.equal(location.replace('carol', [binding({ aor: 'carol' })]), true);
  });

  test('leaves no timer behind', () => {
    const location = new MemoryLocation(clock);
    clock.advance(5000);
    location.close();
    assert.equal(clock.pending, 0);
  });
});
