import assert from 'node:assert/strict';
import { test } from 'node:test';
import { azure } from '../../../providers/azure.ts';
import type { Notice } from '../../../src/discovery/notice.ts';
import { type FakeAzure, startFakeAzure } from '../../support/fake-azure.ts';
import { azureDocuments, type ScheduledEventsDocument } from '../../support/fake-azure-document.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { PollingClock } from '../../support/polling-clock.ts';
import { contextOf, fixture, type LoggedContext } from './surroundings.ts';

const MACHINE = {
  name: 'edge',
  nics: [{ mac: '000d3af806ec', addresses: [{ private: '10.0.0.4', public: '203.0.113.5' }] }],
};
const NEVER = '0000-never';

interface Watched extends AsyncDisposable {
  readonly imds: FakeAzure;
  readonly clock: ManualClock;
  readonly context: LoggedContext;
  readonly notices: Notice[];
  /** Serves these events as the next document and resolves when they were looked at. */
  tell(events: ScheduledEventsDocument['Events'], incarnation?: number): Promise<void>;
  /** Resolves after one more look, whatever comes of it. */
  look(): Promise<void>;
}

async function watch(machine: { name: string } = MACHINE): Promise<Watched> {
  const imds = await startFakeAzure({ documents: azureDocuments({ ...MACHINE, ...machine }) });
  const clock = new ManualClock();
  const context = contextOf(imds, { clock });
  const abort = new AbortController();
  const notices: Notice[] = [];
  let number = 1;
  azure.watchNotices!(context, (notice) => notices.push(notice), abort.signal);
  const looks = (): number => imds.requests.filter(({ path }) => path.endsWith('/scheduledevents')).length;
  const idle = async (): Promise<void> => {
    // One timer is left when the watch waits for its next turn, and the answer before it has been judged.
    let quiet = 0;
    while (quiet < 20) {
      await new Promise(setImmediate);
      quiet = clock.pending === 1 ? quiet + 1 : 0;
    }
  };
  const watched: Watched = {
    imds,
    clock,
    context,
    notices,
    async tell(events, incarnation = ++number) {
      imds.documents = {
        ...imds.documents,
        scheduledevents: { DocumentIncarnation: incarnation, Events: events },
      };
      await watched.look();
    },
    async look() {
      const before = looks();
      await idle();
      clock.advance(5500);
      while (looks() === before) await new Promise(setImmediate);
      await idle();
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await imds.close();
    },
  };
  while (looks() === 0) await new Promise(setImmediate);
  await idle();
  return watched;
}

const event = (more: Record<string, unknown>): Record<string, unknown> => ({
  EventId: 'C7061BAC-AFDC-4513-B24B-AA5F13A16123',
  EventStatus: 'Scheduled',
  EventType: 'Freeze',
  ResourceType: 'VirtualMachine',
  Resources: ['other', 'EDGE'],
  NotBefore: 'Mon, 11 Apr 2022 22:26:58 GMT',
  ...more,
});
const shown = ({ id, kind, deadline, source, withdrawn }: Notice): unknown[] => [
  id,
  kind,
  deadline === undefined ? undefined : new Date(deadline).toISOString(),
  source,
  ...(withdrawn ? ['withdrawn'] : []),
];

test('the recorded freeze is a pause, told once to the machine that it names', async () => {
  const document = fixture('doc-scheduledevents-freeze.json') as ScheduledEventsDocument;
  await using watched = await watch({ name: 'WestNO_1' });
  await watched.tell(document.Events, document.DocumentIncarnation);
  assert.deepEqual(watched.notices.map(shown), [
    [
      'C7061BAC-AFDC-4513-B24B-AA5F13A16123',
      'pause',
      '2026-04-11T22:26:58.000Z',
      'azure scheduledevents Freeze',
    ],
  ]);
  await watched.look();
  await watched.tell(document.Events);
  assert.equal(watched.notices.length, 1);

  await using other = await watch({ name: 'WestNO_10' });
  await other.tell(document.Events, document.DocumentIncarnation);
  assert.deepEqual(other.notices, []);
});

test('each type has its kind, and each spelling of a time is understood', async () => {
  await using watched = await watch();
  const rows = [
    ['Freeze', 'Mon, 11 Apr 2022 22:26:58 GMT', 'pause', '2022-04-11T22:26:58.000Z'],
    ['Reboot', '2022-04-11T22:26:58Z', 'reboot', '2022-04-11T22:26:58.000Z'],
    ['Redeploy', '2022-04-11T22:26:58', 'maintenance', '2022-04-11T22:26:58.000Z'],
    ['Preempt', '2022-04-11T22:26:58+02:00', 'termination', '2022-04-11T20:26:58.000Z'],
    ['Terminate', '', 'termination', undefined],
    ['Reboot', 'soon', 'reboot', undefined],
    ['toString', 'soon', NEVER, undefined],
    ['Defragment', 'soon', NEVER, undefined],
  ] as const;
  await watched.tell(
    rows.map(([EventType, NotBefore], index) => event({ EventId: `e${index}`, EventType, NotBefore })),
  );
  assert.deepEqual(
    watched.notices.map(shown),
    rows
      .map(([type, , kind, time], index) => [`e${index}`, kind, time, `azure scheduledevents ${type}`])
      .filter(([, kind]) => kind !== NEVER),
  );
});

test('a moved time is told again, a start is not, and what is called off is withdrawn', async () => {
  await using watched = await watch();
  await watched.tell([event({ EventId: 'a' }), event({ EventId: 'b', EventType: 'Reboot' })]);
  await watched.tell([
    event({ EventId: 'a', NotBefore: 'Mon, 11 Apr 2022 22:36:58 GMT' }),
    event({ EventId: 'b', EventType: 'Reboot', EventStatus: 'Started', NotBefore: '' }),
  ]);
  await watched.tell([event({ EventId: 'b', EventType: 'Reboot', EventStatus: 'Completed', NotBefore: '' })]);
  assert.deepEqual(watched.notices.slice(2).map(shown), [
    ['a', 'pause', '2022-04-11T22:36:58.000Z', 'azure scheduledevents Freeze'],
    ['a', 'pause', '2022-04-11T22:36:58.000Z', 'azure scheduledevents Freeze', 'withdrawn'],
    ['b', 'reboot', undefined, 'azure scheduledevents Reboot', 'withdrawn'],
  ]);
});

test('a document without a list, and what is said of others, take nothing back and hide nothing', async () => {
  await using watched = await watch();
  const others = Array.from({ length: 400 }, (_, n) => event({ EventId: `${n}`, Resources: ['another'] }));
  await watched.tell([...others, event({ EventId: '', Resources: [] }), event({ EventId: 'mine' })]);
  for (const body of ['null', '[]', '{}', '{"DocumentIncarnation":9,"Events":null}']) {
    watched.imds.fault = ({ path }) =>
      path.endsWith('/scheduledevents') ? { status: 200, body } : undefined;
    await watched.look();
  }
  watched.imds.fault = () => undefined;
  await watched.tell([event({ EventId: 'mine', EventType: 'Reboot' })]);
  assert.deepEqual(
    watched.notices.map(({ id, kind, withdrawn }) => [id, kind, withdrawn]),
    [
      ['mine', 'pause', undefined],
      ['mine', 'reboot', undefined],
    ],
  );
});

test('acknowledging asks Azure to start the event', async () => {
  await using watched = await watch();
  await watched.tell([event({})]);
  await watched.notices[0]!.acknowledge!(new AbortController().signal);
  const post = watched.imds.requests.find(({ method }) => method === 'POST');
  assert.equal(post?.path, '/metadata/scheduledevents');
  assert.equal(post.headers['metadata'], 'true');
  assert.deepEqual(JSON.parse(post.body), { StartRequests: [{ EventId: event({})['EventId'] }] });
  watched.imds.fault = ({ method }) => (method === 'POST' ? { status: 400, body: '{}' } : undefined);
  await assert.rejects(watched.notices[0]!.acknowledge!(new AbortController().signal), {
    code: 'discovery.metadata-failed',
  });
});

test('a service that fails is told of once, changes nothing, and is told of when it answers again', async () => {
  await using watched = await watch();
  await watched.tell([event({})]);
  for (const body of [
    '<html>',
    '{"DocumentIncarnation":9,"Events":[{"EventId":{}}]}',
    '{"DocumentIncarnation":9,"Events":7}',
  ]) {
    watched.imds.fault = ({ path }) =>
      path.endsWith('/scheduledevents') ? { status: 200, body } : undefined;
    await watched.look();
  }
  watched.imds.fault = () => ({ status: 404 });
  await watched.look();
  watched.imds.fault = () => undefined;
  await watched.tell([event({}), event({ EventId: 'new', EventType: 'Preempt' })], 9);
  assert.deepEqual(
    watched.notices.map(({ kind }) => kind),
    ['pause', 'termination'],
  );
  assert.deepEqual(
    watched.context.log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'scheduled events cannot be read; notices may be missed'],
      ['info', 'scheduled events are told again'],
    ],
  );
});

test('events are looked for once a second, whatever a person sets for addresses', async (t) => {
  await using imds = await startFakeAzure({ documents: azureDocuments(MACHINE) });
  const clock = new PollingClock(900, [2000, 150_000]);
  const abort = new AbortController();
  t.after(() => abort.abort());
  const context = { ...contextOf(imds, { clock }), pollIntervalMs: 60_000 };
  const notices: Notice[] = [];
  azure.watchNotices!(context, (notice) => notices.push(notice), abort.signal);
  await clock.nextWait();
  imds.documents = {
    ...imds.documents,
    scheduledevents: { DocumentIncarnation: 2, Events: [event({ EventType: 'Preempt' })] },
  };
  const before = clock.uptime();
  await clock.passWait();
  assert.deepEqual(
    notices.map(({ kind }) => kind),
    ['termination'],
  );
  assert.ok(clock.uptime() - before <= 1100, `${clock.uptime() - before} ms`);
  imds.fault = () => ({ status: 200, body: '<html>' });
  await clock.passWait();
  assert.ok(clock.lastWaitMs >= 4500 && clock.lastWaitMs <= 5500, `${clock.lastWaitMs} ms where it fails`);
});

test('the first answer may take two minutes', async () => {
  await using imds = await startFakeAzure({ documents: azureDocuments(MACHINE) });
  const clock = new ManualClock();
  const abort = new AbortController();
  const asked = Promise.withResolvers<void>();
  imds.fault = ({ path }) => {
    if (!path.endsWith('/scheduledevents')) return undefined;
    asked.resolve();
    return 'hang';
  };
  const context = contextOf(imds, { clock });
  azure.watchNotices!(context, () => {}, abort.signal);
  await asked.promise;
  clock.advance(120_000);
  await new Promise(setImmediate);
  assert.deepEqual(context.log.lines, []);
  abort.abort();
  while (clock.pending > 0) await new Promise(setImmediate);
});
