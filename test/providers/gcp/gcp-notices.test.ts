import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchNotices } from '../../../providers/gcp/notices.ts';
import type { Notice } from '../../../src/discovery/notice.ts';
import { type FakeGce, startFakeGce } from '../../support/fake-gce.ts';
import { type GceDescription, gceDocument } from '../../support/fake-gce-document.ts';
import { SelectiveClock } from '../../support/selective-clock.ts';
import { contextOf, NIC } from './gcp-machine.ts';

interface Noticed extends AsyncDisposable {
  readonly gce: FakeGce;
  readonly clock: SelectiveClock;
  readonly log: ReturnType<typeof contextOf>['log'];
  say(more: Partial<GceDescription>): Promise<void>;
  /** When each notice came. */
  readonly times: readonly number[];
  /** The first `count` notices, when so many have come. */
  notices(count: number): Promise<readonly Notice[]>;
}

async function noticesOf(more: Partial<GceDescription> = {}): Promise<Noticed> {
  const gce = await startFakeGce(gceDocument({ nics: [NIC], ...more }));
  // All that is waited for between two questions; not the time-outs, of which 1000 is that of connecting.
  const clock = new SelectiveClock((delayMs) => delayMs <= 5000 && delayMs !== 1000);
  const abort = new AbortController();
  const context = contextOf(gce.url, { clock });
  const notices: Notice[] = [];
  const times: number[] = [];
  const notify = (notice: Notice): void => {
    notices.push(notice);
    times.push(clock.now());
  };
  watchNotices(context, notify, abort.signal);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    gce,
    clock,
    times,
    log: context.log,
    say: async (next) => {
      // Both items have been answered once.
      await gce.holding(2);
      gce.replace(gceDocument({ nics: [NIC], ...next }));
    },
    notices: async (count) => {
      while (notices.length < count) await turn();
      return notices.slice(0, count);
    },
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await gce.close();
    },
  };
}

test('both items are asked for at the start, which is what has a warning sent at all', async () => {
  await using noticed = await noticesOf();
  await noticed.gce.asked(({ path }) => path === '/computeMetadata/v1/instance/maintenance-event');
  await noticed.gce.asked(({ path }) => path === '/computeMetadata/v1/instance/preempted');
});

test('preemption: 30 seconds to the end, told once', async () => {
  await using noticed = await noticesOf();
  await noticed.say({ preempted: 'TRUE' });
  const [notice] = await noticed.notices(1);
  assert.deepEqual(notice, {
    id: 'gcp instance/preempted',
    kind: 'termination',
    deadline: noticed.times[0]! + 30_000,
    source: 'gcp instance/preempted',
  });
});

test('a machine that is being preempted when cloudsip starts hears of it at once', async () => {
  await using noticed = await noticesOf({ preempted: 'TRUE' });
  const [notice] = await noticed.notices(1);
  assert.deepEqual([notice?.kind, notice?.deadline], ['termination', noticed.times[0]! + 30_000]);
});

test('a migration is a pause, and is over when the event is', async () => {
  await using noticed = await noticesOf();
  await noticed.say({ maintenanceEvent: 'MIGRATE_ON_HOST_MAINTENANCE' });
  const [notice] = await noticed.notices(1);
  assert.deepEqual([notice?.kind, notice?.source], ['pause', 'gcp instance/maintenance-event']);
  assert.equal(notice?.deadline, noticed.times[0]! + 60_000);
  await noticed.say({ maintenanceEvent: 'NONE' });
  const [, over] = await noticed.notices(2);
  assert.deepEqual(over, { ...notice, withdrawn: true });
  await noticed.say({ maintenanceEvent: 'TERMINATE_ON_HOST_MAINTENANCE' });
  const [, , second] = await noticed.notices(3);
  assert.equal(second?.kind, 'maintenance');
  assert.notEqual(second?.id, notice?.id);
});

test('a migration that becomes a termination is another notice', async () => {
  await using noticed = await noticesOf({ maintenanceEvent: 'MIGRATE_ON_HOST_MAINTENANCE' });
  await noticed.notices(1);
  await noticed.say({ maintenanceEvent: 'TERMINATE_ON_HOST_MAINTENANCE' });
  const notices = await noticed.notices(3);
  assert.deepEqual(
    notices.map(({ kind, withdrawn = false }) => [kind, withdrawn]),
    [
      ['pause', false],
      ['pause', true],
      ['maintenance', false],
    ],
  );
});

test('a server that fails is told of once for each item, asked again every five seconds, and believed after that', async () => {
  await using noticed = await noticesOf();
  const { gce, clock, log } = noticed;
  await gce.holding(2);
  const failures: string[] = [];
  gce.fault = ({ path }) => {
    failures.push(path);
    return failures.length > 8 ? undefined : { status: 503 };
  };
  gce.replace(gceDocument({ nics: [NIC], preempted: 'TRUE', maintenanceEvent: 'NONE' }));
  gce.expireHeld();
  assert.equal((await noticed.notices(1))[0]?.kind, 'termination');
  await gce.holding(2);
  assert.deepEqual(log.lines.map(({ message }) => message).sort(), [
    'notices can be read again',
    'notices can be read again',
    'notices cannot be read',
    'notices cannot be read',
  ]);
  assert.equal(clock.waits.filter((delayMs) => delayMs === 5000).length, 8);
});
