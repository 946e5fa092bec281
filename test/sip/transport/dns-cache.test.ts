import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DnsAnswer, DnsCache } from '../../../src/sip/transport/dns-cache.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('a failure is shared and held for a few seconds, then asked again', async () => {
  const clock = new ManualClock();
  const cache = new DnsCache(clock);
  let asked = 0;
  const ask = async (): Promise<DnsAnswer<string>> => {
    asked++;
    throw new Error(`failure ${asked}`);
  };
  const both = [cache.get('A x', ask), cache.get('A x', ask)];
  for (const answer of both) await assert.rejects(answer, /failure 1/);
  clock.advance(4999);
  await assert.rejects(cache.get('A x', ask), /failure 1/);
  clock.advance(1);
  await assert.rejects(cache.get('A x', ask), /failure 2/);
});

test('a TTL of 0 is honoured, a TTL of weeks is cut to an hour', async () => {
  const clock = new ManualClock();
  const cache = new DnsCache(clock);
  let asked = 0;
  const ask = (ttlMs: number) => async (): Promise<DnsAnswer<number>> => ({ records: [++asked], ttlMs });
  assert.deepEqual(await cache.get('A zero', ask(0)), [1]);
  assert.deepEqual(await cache.get('A zero', ask(0)), [2]);
  assert.deepEqual(await cache.get('A long', ask(1e10)), [3]);
  clock.advance(3_599_999);
  assert.deepEqual(await cache.get('A long', ask(1e10)), [3]);
  clock.advance(1);
  assert.deepEqual(await cache.get('A long', ask(1e10)), [4]);
});

test('open questions are bounded', async () => {
  const cache = new DnsCache(new ManualClock());
  const release = Promise.withResolvers<void>();
  const ask = async (): Promise<DnsAnswer<string>> => {
    await release.promise;
    return { records: ['answer'], ttlMs: 1000 };
  };
  const open = Array.from({ length: 512 }, (_, i) => cache.get(`A ${i}`, ask));
  await assert.rejects(cache.get('A one more', ask), { code: 'RESOLVE_BUSY' });
  const shared = cache.get('A 7', ask);
  release.resolve();
  await Promise.all(open);
  assert.deepEqual(await shared, ['answer']);
  assert.deepEqual(await cache.get('A one more', ask), ['answer']);
});

test('what is remembered is bounded: the oldest is forgotten', async () => {
  const cache = new DnsCache(new ManualClock());
  let asked = 0;
  const ask = async (): Promise<DnsAnswer<number>> => ({ records: [++asked], ttlMs: 1e6 });
  for (let i = 0; i < 4097; i++) await cache.get(`A ${i}`, ask);
  await cache.get('A 1', ask);
  assert.equal(asked, 4097);
  await cache.get('A 0', ask);
  assert.equal(asked, 4098);
});
