import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { pollNotices } from '../../../providers/ec2/notices.ts';
import { ec2 } from '../../../providers/ec2.ts';
import type { Notice } from '../../../src/discovery/notice.ts';
import { ec2Context } from '../../support/ec2-surroundings.ts';
import { type FakeImds, startFakeImds } from '../../support/fake-imds.ts';
import type { ImdsTree } from '../../support/fake-imds-document.ts';
import { PollingClock } from '../../support/polling-clock.ts';
import { quietLog } from '../../support/quiet-log.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/metadata/ec2/${name}`, import.meta.url), 'utf8');

interface Watched extends AsyncDisposable {
  readonly imds: FakeImds;
  readonly notices: Notice[];
  readonly log: ReturnType<typeof quietLog>;
  readonly clock: PollingClock;
  /** Resolves when the next round of questions is over. */
  round(): Promise<void>;
}

/** A watched metadata service after the first round. */
async function watch(document: ImdsTree): Promise<Watched> {
  const imds = await startFakeImds({ document });
  const clock = new PollingClock(4500);
  const log = quietLog();
  const notices: Notice[] = [];
  const abort = new AbortController();
  const ended = pollNotices(ec2Context({ imds, clock, log }), (notice) => notices.push(notice), abort.signal);
  await clock.nextWait();
  return {
    imds,
    notices,
    log,
    clock,
    round: () => clock.passWait(),
    async [Symbol.asyncDispose]() {
      abort.abort();
      await ended;
      assert.equal(clock.pending, 0);
      await imds.close();
    },
  };
}

const SPOT = { spot: { 'instance-action': fixture('spot-instance-action.json') } };
const RECORDED: [what: string, document: ImdsTree, notices: Notice[]][] = [
  [
    'a spot interruption',
    SPOT,
    [
      {
        id: 'spot/instance-action',
        kind: 'termination',
        deadline: Date.UTC(2017, 8, 18, 8, 22),
        source: 'ec2 spot/instance-action',
      },
    ],
  ],
  [
    'a rebalance recommendation',
    { events: { recommendations: { rebalance: fixture('rebalance.json') } } },
    [
      {
        id: 'events/recommendations/rebalance',
        kind: 'rebalance',
        source: 'ec2 events/recommendations/rebalance',
      },
    ],
  ],
  [
    'a group that keeps it',
    { autoscaling: { 'target-lifecycle-state': fixture('target-lifecycle-state.txt') } },
    [],
  ],
  ['a group that lets go of it', { autoscaling: { 'target-lifecycle-state': 'Detached' } }, []],
  [
    'a group that gets smaller',
    { autoscaling: { 'target-lifecycle-state': 'Terminated\n' } },
    [
      {
        id: 'autoscaling/target-lifecycle-state',
        kind: 'scale-in',
        source: 'ec2 autoscaling/target-lifecycle-state',
      },
    ],
  ],
  [
    'a scheduled reboot',
    { events: { maintenance: { scheduled: fixture('maintenance-scheduled.json') } } },
    [
      {
        id: 'events/maintenance/scheduled instance-event-0d59937288b749b32',
        kind: 'reboot',
        deadline: Date.UTC(2019, 0, 21, 9, 0, 43),
        source: 'ec2 events/maintenance/scheduled',
      },
    ],
  ],
  ['no scheduled event', { events: { maintenance: { history: '[]', scheduled: '[]' } } }, []],
];
for (const [what, document, expected] of RECORDED) {
  test(`${what} as recorded`, async () => {
    await using watched = await watch(document);
    assert.deepEqual(watched.notices, expected);
    await watched.round();
    assert.deepEqual(watched.notices, expected, 'a second look brings nothing new');
    assert.deepEqual(watched.log.lines, []);
  });
}

test('the kinds of scheduled events; what is over or unknown is none', async () => {
  const event = (Code: string, State = 'active'): object => ({ Code, State, EventId: `e-${Code}-${State}` });
  const scheduled = JSON.stringify([
    event('instance-retirement'),
    event('instance-stop'),
    event('instance-reboot'),
    event('system-maintenance'),
    event('system-reboot', 'completed'),
    event('system-reboot', 'canceled'),
    event('constructor'),
    null,
    7,
    { Code: 'system-reboot', State: 'active' },
  ]);
  await using watched = await watch({ events: { maintenance: { scheduled } } });
  assert.deepEqual(
    watched.notices.map(({ kind, deadline }) => [kind, deadline]),
    [
      ['termination', undefined],
      ['termination', undefined],
      ['reboot', undefined],
      ['maintenance', undefined],
    ],
  );
});

test('a notice that moves is told again under its name, and one that is taken back, too', async () => {
  await using watched = await watch(SPOT);
  const { imds, notices, round } = watched;
  imds.document = { spot: { 'instance-action': '{"action":"stop","time":"2017-09-18T08:30:00Z"}' } };
  await round();
  imds.document = {};
  await round();
  assert.deepEqual(
    notices.map(({ id, deadline, withdrawn }) => [id, new Date(deadline!).toISOString(), withdrawn]),
    [
      ['spot/instance-action', '2017-09-18T08:22:00.000Z', undefined],
      ['spot/instance-action', '2017-09-18T08:30:00.000Z', undefined],
      ['spot/instance-action', '2017-09-18T08:30:00.000Z', true],
    ],
  );
});

for (const text of ['', '<html>', '{"action":', 'null', '[]', '{"action":7}', 'x'.repeat(60_000)]) {
  test(`${JSON.stringify(text.slice(0, 12))} announces nothing and takes nothing back`, async () => {
    await using watched = await watch({ ...SPOT, autoscaling: { 'target-lifecycle-state': 'Terminated' } });
    const { imds, notices, round } = watched;
    imds.document = {
      spot: { 'instance-action': text },
      events: { recommendations: { rebalance: text }, maintenance: { scheduled: text } },
      autoscaling: { 'target-lifecycle-state': text },
    };
    await round();
    assert.equal(notices.length, 2);
  });
}

test('one session serves for all rounds, and is renewed when it is refused', async () => {
  await using watched = await watch({});
  const { imds, round, log } = watched;
  const puts = (): number => imds.requests.filter(({ method }) => method === 'PUT').length;
  await round();
  await round();
  assert.equal(puts(), 1);
  assert.equal(imds.requests[0]?.headers['x-aws-ec2-metadata-token-ttl-seconds'], '21600');
  imds.expireTokens();
  imds.document = SPOT;
  await round();
  assert.deepEqual([puts(), watched.notices.length, log.lines.length], [2, 1, 0]);
});

test('a service that fails is told of once, asked ever more seldom, and believed again when it answers', async () => {
  await using watched = await watch({});
  const { imds, round, log, clock, notices } = watched;
  imds.fault = () => ({ status: 403 });
  const waits: number[] = [];
  for (let count = 0; count < 6; count++) {
    await round();
    waits.push(clock.lastWaitMs);
  }
  for (const [index, expected] of [10_000, 20_000, 40_000, 60_000, 60_000, 60_000].entries()) {
    const wait = waits[index]!;
    assert.ok(wait >= expected * 0.9 && wait <= expected * 1.1, `${wait} for ${expected}`);
  }
  imds.fault = () => undefined;
  imds.document = SPOT;
  await round();
  assert.equal(notices.length, 1);
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'the notices of the cloud cannot be read'],
      ['info', 'the notices of the cloud can be read again'],
    ],
  );
});

test('the provider watches at its own pace, whatever a person sets for addresses', async () => {
  await using imds = await startFakeImds({ document: SPOT });
  const clock = new PollingClock(900);
  const pollIntervalMs = 3_600_000;
  const abort = new AbortController();
  const told = Promise.withResolvers<Notice>();
  ec2.watchNotices?.({ ...ec2Context({ imds, clock }), pollIntervalMs }, told.resolve, abort.signal);
  assert.equal((await told.promise).kind, 'termination');
  await clock.nextWait();
  assert.ok(clock.lastWaitMs >= 4500 && clock.lastWaitMs <= 5500, `${clock.lastWaitMs}`);
  abort.abort();
});
