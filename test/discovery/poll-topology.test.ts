import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import { pollTopology } from '../../src/discovery/poll-topology.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const topology = (publicAddress: string): Topology => ({
  provider: 'cloud',
  interfaces: [
    {
      mac: '02:00:00:00:00:01',
      addresses: [{ privateAddress: '10.0.0.1', publicAddress, provenance: 'imds' }],
      subnets: [],
    },
  ],
  localNetworks: [],
});

const device = (...addresses: string[]): OsInterface => ({
  name: 'eth0',
  mac: '02:00:00:00:00:01',
  internal: false,
  addresses: addresses.map((address) => ({ address, prefixLength: 24, family: 'ipv4' })),
});

/** One poll after the other, each answered by what `next` gives. */
function watch(known: Topology | undefined, answer?: () => Promise<Topology>) {
  const clock = new ManualClock();
  const log = quietLog();
  const abort = new AbortController();
  const seen: Topology[] = [];
  let asked = 0;
  let interfaces = [device('10.0.0.1')];
  let next: () => Topology = () => topology('203.0.113.1');
  const done = pollTopology({
    provider: 'cloud',
    discover: async () => {
      asked++;
      return answer?.() ?? next();
    },
    context: {
      facts: { dmi: {}, interfaces },
      currentInterfaces: () => interfaces,
      clock,
      log,
      env: {},
      configuration: undefined,
    },
    changed: (now) => seen.push(now),
    signal: abort.signal,
    known,
  });
  return {
    clock,
    log,
    seen,
    abort,
    done,
    asked: () => asked,
    async poll(answer: () => Topology, now = interfaces): Promise<void> {
      next = answer;
      interfaces = now;
      clock.advance(16_500);
      // Let the answer be taken, by promises alone; the next poll is scheduled after it.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('only differences are told', async () => {
  const { poll, seen, clock, abort, done, asked } = watch(topology('203.0.113.1'));
  await poll(() => topology('203.0.113.1'));
  assert.deepEqual(seen, []);
  await poll(() => topology('203.0.113.2'));
  assert.deepEqual(seen, [topology('203.0.113.2')]);
  await poll(() => topology('203.0.113.2'));
  assert.equal(seen.length, 1);
  assert.equal(asked(), 3);
  abort.abort();
  await done;
  assert.equal(clock.pending, 0);
});

test('polls are 15 s apart, give or take a tenth', async () => {
  const { clock, asked, abort, done } = watch(undefined);
  clock.advance(13_499);
  assert.equal(asked(), 0);
  clock.advance(3_001);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked(), 1);
  abort.abort();
  await done;
});

test('without a known topology the first answer is news', async () => {
  const { poll, seen, abort, done } = watch(undefined);
  await poll(() => topology('203.0.113.1'));
  assert.equal(seen.length, 1);
  abort.abort();
  await done;
});

test('an address that the operating system gains is news though the cloud says the same', async () => {
  const { poll, seen, abort, done } = watch(topology('203.0.113.1'));
  await poll(() => topology('203.0.113.1'), [device('10.0.0.9')]);
  assert.equal(seen.length, 1, 'lost');
  await poll(() => topology('203.0.113.1'), [device('10.0.0.9')]);
  assert.equal(seen.length, 1, 'as before');
  await poll(() => topology('203.0.113.1'), [device('10.0.0.9', '10.0.0.1')]);
  assert.equal(seen.length, 2, 'gained');
  abort.abort();
  await done;
});

test('a cloud that fails is logged once, and once when it is back', async () => {
  const { poll, seen, log, abort, done } = watch(topology('203.0.113.1'));
  const fail = (): Topology => {
    throw new DiscoveryError('discovery.metadata-unreachable', 'nothing came');
  };
  await poll(fail);
  await poll(fail);
  await poll(fail);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['warn'],
  );
  await poll(() => topology('203.0.113.1'));
  await poll(() => topology('203.0.113.1'));
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'discovery fails; the last known topology stays in use'],
      ['info', 'discovery answers again'],
    ],
  );
  assert.deepEqual(seen, []);
  abort.abort();
  await done;
});

test('a cloud that never answers is given up, reported once, and asked again', async () => {
  const { clock, log, abort, done, asked } = watch(topology('203.0.113.1'), () => new Promise(() => {}));
  for (const round of [1, 2]) {
    clock.advance(16_500);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(asked(), round);
    clock.advance(100_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    log.lines.map(({ message }) => message),
    ['discovery fails; the last known topology stays in use'],
  );
  abort.abort();
  await done;
  assert.equal(clock.pending, 0);
});

test('an abort while the cloud is being asked tells nothing more', async () => {
  const { clock, seen, log, abort, done } = watch(undefined);
  clock.advance(16_500);
  abort.abort();
  await done;
  assert.deepEqual(seen, []);
  assert.deepEqual(log.lines, []);
  assert.equal(clock.pending, 0);
});
