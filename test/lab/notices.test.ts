import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ImdsTree, imdsDocument } from '../support/fake-imds-document.ts';
import { needsRoot } from '../support/privileged.ts';
import { azureCloud } from './azure-cloud.ts';
import { ask, begins, type Desk, endsInPeace, openDesk } from './drain-desk.ts';
import { gcpCloud } from './gcp-cloud.ts';
import { describeMachine } from './lab-metadata.ts';

const given = 'the cloud gives notice';
const day = 86_400_000;
const inMs = (ms: number): string => `${new Date(Date.now() + ms).toISOString().slice(0, 19)}Z`;

/** A scheduled event as the metadata lists it; times there are written by the month's name. */
function scheduled(Code: string, NotBefore: string, State = 'active'): ImdsTree {
  const event = { Code, EventId: 'instance-event-0d59937288b749b32', State, NotBefore, Description: Code };
  return { events: { maintenance: { scheduled: JSON.stringify([event]) } } };
}

/** What stands in the metadata of EC2 beside the machine's cards, and the kind of notice that it is. */
const notices: readonly { name: string; kind: string; tree: () => ImdsTree }[] = [
  {
    name: 'a spot interruption in two minutes',
    kind: 'termination',
    tree: () => ({
      spot: { 'instance-action': JSON.stringify({ action: 'terminate', time: inMs(120_000) }) },
    }),
  },
  {
    name: 'a rebalance recommendation',
    kind: 'rebalance',
    tree: () => ({
      events: { recommendations: { rebalance: JSON.stringify({ noticeTime: inMs(0) }) } },
    }),
  },
  {
    name: 'the scaling group that takes it out',
    kind: 'scale-in',
    tree: () => ({ autoscaling: { 'target-lifecycle-state': 'Terminated' } }),
  },
  {
    name: 'a reboot that is scheduled',
    kind: 'reboot',
    tree: () => scheduled('system-reboot', inMs(200_000)),
  },
  {
    name: 'a maintenance that is scheduled',
    kind: 'maintenance',
    tree: () => scheduled('system-maintenance', inMs(200_000)),
  },
  {
    name: 'a retirement that is scheduled',
    kind: 'termination',
    tree: () => scheduled('instance-retirement', inMs(200_000)),
  },
];

describe('a notice of EC2 leads to the drain', needsRoot, () => {
  let desk: Desk;
  before(async () => {
    desk = await openDesk({ env: { CLOUDSIP_POLL_INTERVAL: '300ms' } });
  });
  after(() => desk.office[Symbol.asyncDispose]());

  const say = (tree: ImdsTree): void => {
    const { lab, metadata } = desk.office;
    metadata.replace({ ...imdsDocument(describeMachine(lab, 'vm')), ...tree });
  };

  for (const [index, { name, kind, tree }] of notices.entries()) {
    test(name, async () => {
      const { office } = desk;
      if (index > 0) {
        say({});
        await office.restart();
      }
      await endsInPeace(desk, async () => say(tree()));
      const notice = office.cloudsip.log.find(({ msg }) => msg === given);
      assert.equal(notice?.['kind'], kind);
      const told = office.cloudsip.log.map(({ msg }) => msg);
      assert.ok(told.indexOf(given) < told.indexOf(begins));
    });
  }

  test('one for a day that is far off waits, is called off, and is moved to now', async () => {
    const { office } = desk;
    say(scheduled('system-reboot', inMs(3 * day)));
    await office.restart();
    const { cloudsip } = office;
    const notice = await cloudsip.logged(given);
    const waitsMs = Date.parse(String(notice['deadline'])) - Date.parse(String(notice['drainingFrom']));
    assert.equal(waitsMs, 300_000);
    assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
    say(scheduled('system-reboot', inMs(3 * day), 'canceled'));
    await cloudsip.logged('the cloud takes its notice back');
    assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
    await endsInPeace(desk, async () => say(scheduled('system-reboot', inMs(100_000))));
  });
});

describe('an event that Azure schedules leads to the drain', needsRoot, () => {
  let desk: Desk;
  let incarnation = 1;
  before(async () => {
    desk = await openDesk({
      cloud: azureCloud,
      env: { CLOUDSIP_POLL_INTERVAL: '300ms', CLOUDSIP_ACKNOWLEDGE_NOTICES: 'on' },
    });
  });
  after(() => desk.office[Symbol.asyncDispose]());

  const say = (EventType: string | undefined, ms = 200_000): void => {
    const { office } = desk;
    const event = {
      // An event that was acknowledged is never scheduled again.
      EventId: `${EventType}-${office.cloudsip.pid}`,
      EventStatus: 'Scheduled',
      EventType,
      ResourceType: 'VirtualMachine',
      Resources: ['another', 'edge'],
      NotBefore: new Date(Date.now() + ms).toUTCString(),
    };
    const Events = EventType === undefined ? [] : [event];
    const scheduledevents = { DocumentIncarnation: ++incarnation, Events };
    office.metadata.replace({ ...azureCloud.describe(office.lab, 'vm'), scheduledevents });
  };
  /** What the metadata was asked to begin, and what the telephones said, in their order. */
  const wireOf = () =>
    desk.office.lab.capture('vm', 'ens5', 'dst port 80 or (udp src port 5060 and dst host 198.51.100.20)');

  for (const [type, kind] of [
    ['Reboot', 'reboot'],
    ['Redeploy', 'maintenance'],
    ['Terminate', 'termination'],
  ] as const) {
    test(`${type}: it is acknowledged once the last call has ended`, async () => {
      const { office } = desk;
      say(undefined);
      if (type !== 'Reboot') await office.restart();
      await using wire = await wireOf();
      await endsInPeace(desk, async () => say(type));
      assert.equal(office.cloudsip.log.find(({ msg }) => msg === given)?.['kind'], kind);
      const texts = (await wire.stop()).map(({ payload }) => payload.toString('latin1'));
      const begun = texts.findIndex((text) =>
        text.includes(`{"StartRequests":[{"EventId":"${type}-${office.cloudsip.pid}"}]}`),
      );
      const ended = texts.findLastIndex((text) => /^SIP\/2\.0 200 .*^CSeq: \d+ BYE/ms.test(text));
      assert.ok(ended >= 0 && ended < begun, `the BYE is packet ${ended}, the word to Azure packet ${begun}`);
    });
  }

  test('Freeze: it goes on afterwards, so nothing is done; it is called off, and a Reboot is moved to now', async () => {
    const { office } = desk;
    say(undefined);
    await office.restart();
    const { cloudsip } = office;
    say('Freeze');
    await cloudsip.logged('the cloud gives notice, of a kind that drain-on leaves out');
    assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
    say('Reboot', day);
    await cloudsip.logged(given);
    await cloudsip.logged('the cloud takes its notice back');
    assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
    await endsInPeace(desk, async () => say('Reboot', 100_000));
  });
});

describe('a notice of Google Compute Engine leads to the drain', needsRoot, () => {
  let desk: Desk;
  before(async () => {
    desk = await openDesk({ cloud: gcpCloud });
  });
  after(() => desk.office[Symbol.asyncDispose]());

  const say = (told: { preempted?: string; maintenanceEvent?: string }): void => {
    const { lab, metadata } = desk.office;
    metadata.replace({ ...gcpCloud.describe(lab, 'vm'), ...told });
  };

  test('a preemption', async () => {
    await endsInPeace(desk, async () => say({ preempted: 'TRUE' }));
    assert.equal(desk.office.cloudsip.log.find(({ msg }) => msg === given)?.['kind'], 'termination');
  });

  test('a live migration is no reason, a maintenance that stops the machine is', async () => {
    const { office } = desk;
    say({});
    await office.restart();
    const { cloudsip } = office;
    say({ maintenanceEvent: 'MIGRATE_ON_HOST_MAINTENANCE' });
    await cloudsip.logged('the cloud gives notice, of a kind that drain-on leaves out');
    say({});
    await cloudsip.logged('the cloud takes its notice back');
    assert.match(await ask(office, 'OPTIONS'), /^SIP\/2\.0 200 /);
    await endsInPeace(desk, async () => say({ maintenanceEvent: 'TERMINATE_ON_HOST_MAINTENANCE' }));
    assert.equal(cloudsip.log.find(({ msg }) => msg === given)?.['kind'], 'maintenance');
  });
});

describe('a pause leads to the drain where drain-on names it', needsRoot, () => {
  const env = { CLOUDSIP_DRAIN_ON: 'pause' };

  test('a live migration on Google Compute Engine', async () => {
    const desk = await openDesk({ cloud: gcpCloud, env });
    await using office = desk.office;
    const told = { maintenanceEvent: 'MIGRATE_ON_HOST_MAINTENANCE' };
    await endsInPeace(desk, async () =>
      office.metadata.replace({ ...gcpCloud.describe(office.lab, 'vm'), ...told }),
    );
  });

  test('a freeze on Azure', async () => {
    const desk = await openDesk({ cloud: azureCloud, env: { ...env, CLOUDSIP_POLL_INTERVAL: '300ms' } });
    await using office = desk.office;
    const event = { EventId: 'freeze', EventStatus: 'Scheduled', EventType: 'Freeze', Resources: ['edge'] };
    const NotBefore = new Date(Date.now() + 200_000).toUTCString();
    const Events = [{ ...event, ResourceType: 'VirtualMachine', NotBefore }];
    const scheduledevents = { DocumentIncarnation: 2, Events };
    await endsInPeace(desk, async () =>
      office.metadata.replace({ ...azureCloud.describe(office.lab, 'vm'), scheduledevents }),
    );
  });
});
