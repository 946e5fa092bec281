import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gcp } from '../../../providers/gcp.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import type { OsInterface } from '../../../src/net/os-interfaces.ts';
import { type FakeGce, startFakeGce } from '../../support/fake-gce.ts';
import { gceDocument } from '../../support/fake-gce-document.ts';
import { SelectiveClock } from '../../support/selective-clock.ts';
import { contextOf, NIC, ONE_NIC, os, pairs } from './gcp-machine.ts';

interface Watched extends AsyncDisposable {
  readonly gce: FakeGce;
  readonly clock: SelectiveClock;
  readonly log: ReturnType<typeof contextOf>['log'];
  interfaces: OsInterface[];
  /** The next topology that it tells of. */
  next(): Promise<Topology>;
  readonly seen: readonly Topology[];
}

/** A watch that runs with what the machine is at the start. */
async function watchFrom(document = ONE_NIC): Promise<Watched> {
  const gce = await startFakeGce(document);
  const clock = new SelectiveClock((delayMs) => delayMs < 1000);
  const abort = new AbortController();
  const seen: Topology[] = [];
  let told: (() => void) | undefined;
  let taken = 0;
  const watched = {
    gce,
    clock,
    interfaces: [os('ens4', NIC.mac, '10.0.0.15')],
    seen,
    next: async () => {
      while (seen.length <= taken) await new Promise<void>((resolve) => (told = resolve));
      return seen[taken++]!;
    },
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await gce.close();
    },
  };
  const context = {
    ...contextOf(gce.url, { clock, interfaces: watched.interfaces }),
    currentInterfaces: () => watched.interfaces,
  };
  const known = await gcp.discover(context, abort.signal);
  gcp.watch(
    context,
    (topology) => {
      seen.push(topology);
      told?.();
    },
    abort.signal,
    known,
  );
  return Object.assign(watched, { log: context.log });
}

const HELD =
  /network-interfaces\/\?recursive=true&alt=json&wait_for_change=true&timeout_sec=60&last_etag=[0-9a-f]{16}$/;

/** A request is being held. */
async function hanging({ gce }: Watched): Promise<void> {
  await gce.holding(1);
}

/** The 15 seconds between two polls are over, give or take a tenth. */
const isPoll = (delayMs: number): boolean => delayMs > 13_000 && delayMs < 17_000;

test('a change is told when the held request comes back, long before the next poll', async () => {
  await using watched = await watchFrom();
  await hanging(watched);
  watched.gce.replace(gceDocument({ nics: [{ ...NIC, external: '203.0.113.77' }] }));
  const { interfaces } = await watched.next();
  assert.deepEqual(interfaces.map(pairs), [['10.0.0.15 → 203.0.113.77']]);
});

test('an address that is attached later, and an interface that is plugged in', async () => {
  await using watched = await watchFrom(gceDocument({ nics: [{ ...NIC, external: null }] }));
  await hanging(watched);
  watched.gce.replace(ONE_NIC);
  assert.deepEqual((await watched.next()).interfaces.map(pairs), [['10.0.0.15 → 203.0.113.5']]);
  await hanging(watched);
  const second = { ...NIC, mac: '42:01:0a:00:01:0f', ip: '10.0.1.15', external: '203.0.113.7' };
  watched.gce.replace(gceDocument({ nics: [NIC, second] }));
  assert.deepEqual((await watched.next()).interfaces.map(pairs), [
    ['10.0.0.15 → 203.0.113.5'],
    ['10.0.1.15 → 203.0.113.7'],
  ]);
});

test('an equal ETag is the end of the time: nothing is told, and the request hangs again', async () => {
  await using watched = await watchFrom();
  await hanging(watched);
  const held = () => watched.gce.requests.filter(({ path }) => HELD.test(path));
  const [first] = held();
  watched.gce.expireHeld();
  await hanging(watched);
  assert.deepEqual(
    held().map(({ path }) => path),
    [first?.path, first?.path],
  );
  assert.deepEqual(watched.seen, []);
});

test('what the operating system took up is told at the next poll', async () => {
  await using watched = await watchFrom(gceDocument({ nics: [{ ...NIC, aliases: ['10.4.0.0/24'] }] }));
  await hanging(watched);
  watched.interfaces = [os('ens4', NIC.mac, '10.0.0.15', '10.4.0.9')];
  await watched.clock.pass(isPoll);
  assert.deepEqual((await watched.next()).interfaces.map(pairs), [['10.0.0.15 → 203.0.113.5', '10.4.0.9']]);
});

test('an attribute that is set later is told at the next poll', async () => {
  await using watched = await watchFrom();
  await hanging(watched);
  watched.gce.replace(gceDocument({ nics: [NIC], attributes: { 'cloudsip-realm': 'example.com' } }));
  await watched.clock.pass(isPoll);
  assert.deepEqual((await watched.next()).options, { realm: 'example.com' });
});

test('a server that dies changes nothing and is told of once, as is its return', async () => {
  await using watched = await watchFrom();
  await hanging(watched);
  const { gce, clock, log } = watched;
  gce.fault = () => ({ status: 403 });
  gce.expireHeld();
  for (let poll = 0; poll < 3; poll++) await clock.pass(isPoll);
  gce.fault = () => undefined;
  await clock.pass(isPoll);
  // The next wait begins when the answer has been judged.
  await clock.pass(isPoll);
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'discovery fails; the last known topology stays in use'],
      ['info', 'discovery answers again'],
    ],
  );
  assert.deepEqual(watched.seen, []);
});
