import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { imdsDocument, type MachineDescription } from '../support/fake-imds-document.ts';
import { needsRoot } from '../support/privileged.ts';
import type { Lab } from './lab.ts';
import { describeMachine } from './lab-metadata.ts';
import { call, hangUp, holdAndResume, Office, type OfficeOptions, talk } from './office.ts';

/** Asked so often, what a cloud tells within minutes is told within a second. */
const often = { CLOUDSIP_POLL_INTERVAL: '200ms' };
const changed = 'the cloud changed: listeners follow';

function openOffice(options: OfficeOptions = {}): Promise<Office> {
  return Office.open({ ...options, env: { ...often, ...options.env } });
}

/** What the metadata says of the first card's first address and of the second card. */
function machine(options: { first?: string; second?: boolean }): MachineDescription {
  const { first, second = true } = options;
  const card = (subnet: number, addresses: MachineDescription['nics'][number]['addresses']) => ({
    mac: `02:00:0a:00:0${subnet}:0f`,
    vpcCidrs: ['10.0.0.0/16'],
    subnetCidr: `10.0.${subnet}.0/24`,
    addresses,
  });
  const one = card(0, [
    { private: '10.0.0.15', ...(first !== undefined && { public: first }) },
    { private: '10.0.0.16', public: '203.0.113.6' },
  ]);
  return { nics: second ? [one, card(1, [{ private: '10.0.1.15', public: '203.0.113.7' }])] : [one] };
}

async function plug(lab: Lab): Promise<void> {
  const ip = (...args: string[]) => lab.host('vm').run('ip', args);
  await ip('link', 'set', 'ens6', 'up');
  await ip('address', 'add', '10.0.1.15/24', 'broadcast', '+', 'dev', 'ens6');
  await ip('route', 'add', '10.0.1.0/24', 'dev', 'ens6', 'table', '106');
  await ip('route', 'add', 'default', 'via', '10.0.1.1', 'table', '106');
}

async function unplug(lab: Lab): Promise<void> {
  await lab.host('vm').run('ip', ['address', 'flush', 'dev', 'ens6']);
  await lab.host('vm').run('ip', ['link', 'set', 'ens6', 'down']);
}

describe('the cloud changes while the agent runs', needsRoot, () => {
  test('another public address during calls: new ones use it, old ones end in peace', async () => {
    await using office = await openOffice();
    const { lab, metadata, cloudsip } = office;
    const [alice, nina, bob, carol] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.neighbour('neighbour', { user: 'nina', toneHz: 550 }),
      office.phone('bob-host', { user: 'bob', domain: '203.0.113.7', toneHz: 880 }),
      office.phone('home-phone', { user: 'carol', domain: '203.0.113.6', toneHz: 1200 }),
    ]);
    // One call across the address that goes and the cloud's network, one across two that stay.
    await call(alice, nina);
    await call(carol, bob, 'sip:bob@203.0.113.6');
    await lab.setPublicAddress('10.0.0.15', '203.0.113.9');
    const since = performance.now();
    metadata.replace(describeMachine(lab, 'vm'));
    const { changes, readvertised, added, retired } = await cloudsip.logged(changed);
    assert.ok(performance.now() - since < 3000, 'within the polling time');
    assert.deepEqual(changes, [
      { kind: 'remapped', privateAddress: '10.0.0.15', before: '203.0.113.5', after: '203.0.113.9' },
    ]);
    assert.deepEqual(readvertised, ['udp:10.0.0.15:5060 as 203.0.113.9:5060']);
    assert.deepEqual([added, retired], [[], []]);

    // The new call uses the new address, and no other.
    await using wire = await lab.capture('home', 'wan', 'udp port 5070');
    const dave = await office.phone('home', {
      user: 'dave',
      domain: '203.0.113.9',
      toneHz: 660,
      port: 5070,
    });
    const erin = await office.neighbour('neighbour2', { user: 'erin', toneHz: 770 });
    await call(erin, dave, 'sip:dave@10.0.0.15');
    await holdAndResume(dave, erin);
    await hangUp(dave, erin);
    const ours = (await wire.stop()).filter(({ source }) => source.address.startsWith('203.'));
    assert.ok(ours.length > 0);
    for (const { source, payload } of ours) {
      assert.equal(source.address, '203.0.113.9');
      const text = payload.toString('latin1');
      const [via] = text.startsWith('SIP/2.0') ? [] : (/^Via: .*/m.exec(text) ?? []);
      if (via) assert.match(via, /^Via: SIP\/2\.0\/UDP 203\.0\.113\.9:5060;/);
      for (const [line] of text.matchAll(/^(?:Record-Route|[co]=).*/gm))
        assert.match(line, /[ :]203\.0\.113\.9\b/);
    }

    // Whoever reaches the agent ends the old call; the Record-Route in it names the address of before.
    await talk(bob, carol);
    await hangUp(nina, alice);
    await hangUp(bob, carol);
    await office.mediaPortsReturned();
    assert.equal(cloudsip.log.filter(({ msg }) => msg === changed).length, 1);
    assert.equal(cloudsip.log.filter(({ msg }) => msg === 'ready').length, 1);
  });

  test('a public address is attached after the boot, and detached again', async () => {
    await using office = await openOffice({
      document: machine({}),
      prepare: (lab) => lab.setPublicAddress('10.0.0.15', undefined),
    });
    const { lab, metadata, cloudsip } = office;
    const listening = () =>
      cloudsip.log
        .filter(({ msg }) => msg === 'listening')
        .map(({ bound, advertised }) => `${bound} ${advertised}`);
    assert.ok(listening().includes('10.0.0.15:5060 -'), listening().join());
    await lab.setPublicAddress('10.0.0.15', '203.0.113.5');
    metadata.replace(describeMachine(lab, 'vm'));
    const attached = await cloudsip.logged(changed);
    assert.deepEqual(attached['readvertised'], ['udp:10.0.0.15:5060 as 203.0.113.5:5060']);
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });
    await call(alice, bob);
    await hangUp(bob, alice);
    const from = cloudsip.program.lines.length;
    metadata.replace(machine({}));
    const detached = await cloudsip.logged(changed, { from });
    assert.deepEqual(detached['readvertised'], ['udp:10.0.0.15:5060']);
  });

  test('a card is plugged in during a call, and taken out during another', async () => {
    await using office = await openOffice({
      document: machine({ first: '203.0.113.5', second: false }),
      prepare: unplug,
    });
    const { lab, metadata, cloudsip } = office;
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const carol = await office.phone('home-phone', { user: 'carol', toneHz: 1200 });
    await call(alice, carol);
    // The cloud tells it first, the operating system has the address a moment later.
    metadata.replace(machine({ first: '203.0.113.5' }));
    await cloudsip.logged(changed);
    const warnings = cloudsip.log.filter(({ msg }) => msg.startsWith('10.0.1.15 belongs to this machine'));
    assert.equal(warnings.length, 1);
    let from = cloudsip.program.lines.length;
    await plug(lab);
    assert.deepEqual((await cloudsip.logged(changed, { from }))['added'], [
      'udp:10.0.1.15:5060 as 203.0.113.7:5060',
    ]);
    await talk(alice, carol);
    await hangUp(carol, alice);

    const bob = await office.phone('bob-host', { user: 'bob', domain: '203.0.113.7', toneHz: 880 });
    await call(bob, alice, 'sip:alice@203.0.113.7');
    await hangUp(alice, bob);
    await call(alice, carol);
    from = cloudsip.program.lines.length;
    await unplug(lab);
    metadata.replace(machine({ first: '203.0.113.5', second: false }));
    const gone = await cloudsip.logged(changed, { from });
    assert.deepEqual(gone['retired'], ['udp:10.0.1.15:5060 as 203.0.113.7:5060']);
    await talk(alice, carol);
    await hangUp(alice, carol);
    await office.mediaPortsReturned();
  });

  test('metadata that does not answer for many polls changes nothing and is told once, and so is its return', async () => {
    await using office = await openOffice({ env: { CLOUDSIP_POLL_INTERVAL: '100ms' } });
    const { lab, cloudsip } = office;
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });
    await using wire = await lab.capture(
      'vm',
      'ens5',
      'tcp[tcpflags] == tcp-syn and dst host 169.254.169.254',
    );
    await call(alice, bob);
    await office.metadata.stop();
    const fails = 'discovery fails; the last known topology stays in use';
    await cloudsip.logged(fails);
    await holdAndResume(alice, bob);
    await hangUp(bob, alice);
    await call(bob, alice);
    await hangUp(bob, alice);
    await using _metadata = await lab.startMetadata();
    await cloudsip.logged('discovery answers again');
    const asked = (await wire.stop()).length;
    assert.ok(asked > 20, `it was asked ${asked} times only`);
    const told = (message: string) => cloudsip.log.filter(({ msg }) => msg === message).length;
    assert.deepEqual([told(fails), told('discovery answers again'), told(changed)], [1, 1, 0]);
    // And it is listened to as before.
    const from = cloudsip.program.lines.length;
    await lab.setPublicAddress('10.0.0.15', '203.0.113.9');
    _metadata.replace(describeMachine(lab, 'vm'));
    await cloudsip.logged(changed, { from });
  });

  test('tags of the instance set options after the boot too; the file counts more and is read again on SIGHUP', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cloudsip-live-'));
    const file = join(directory, 'cloudsip.yaml');
    try {
      await writeFile(file, 'drain-timeout: 7s\n');
      await using office = await openOffice({ args: ['--config', file] });
      const { lab, metadata, cloudsip } = office;
      const tag = (instance: Record<string, string>): void =>
        metadata.replace({ ...imdsDocument(describeMachine(lab, 'vm')), tags: { instance } });
      tag({ 'cloudsip-domain': 'tag.example', 'cloudsip-drain-timeout': '9s', 'cloudsip-log-level': 'loud' });
      assert.deepEqual((await cloudsip.logged(changed))['options'], ['domain']);
      const warnings = () => cloudsip.log.filter(({ msg }) => msg.startsWith('the tag cloudsip-log-level: '));
      assert.equal(warnings().length, 1);
      // A telephone that knows the domain by its tag alone.
      const alice = await office.phone('alice-host', {
        user: 'alice',
        toneHz: 440,
        domain: 'tag.example',
        outbound: 'sip:203.0.113.5;lr',
      });
      const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });
      await call(bob, alice, 'sip:alice@203.0.113.5');
      await writeFile(file, 'domain: file.example\nrealm: other\nudp: dgram\n');
      cloudsip.program.signal('SIGHUP');
      const followed = await cloudsip.logged('listeners follow the configuration');
      assert.deepEqual(followed['options'], ['domain', 'realm', 'drain-timeout']);
      const restart = cloudsip.log.find(({ msg }) => msg.startsWith('these options were changed: a restart'));
      assert.deepEqual(restart?.['options'], ['udp']);
      await talk(alice, bob);
      await hangUp(bob, alice);
      assert.equal(warnings().length, 1);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
