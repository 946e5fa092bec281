import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import { toneReaches } from '../support/baresip-wire.ts';
import { needsRoot } from '../support/privileged.ts';
import { runSipp, SippRun } from '../support/sipp.ts';
import { Office, publicAddress } from './office.ts';

describe('offers and answers in unusual places', needsRoot, () => {
  let office: Office;
  let alice: BaresipPhone;
  before(async () => {
    office = await Office.open();
    await Promise.all([office.account('alice'), office.account('bob')]);
    alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
  });
  after(() => office[Symbol.asyncDispose]());
  afterEach(() => office.mediaPortsReturned());

  /** Bob's telephone: sipp at bob's host, registered there and waiting for one call. */
  async function bobWaits(): Promise<SippRun> {
    const host = office.lab.host('bob-host');
    const users = [await office.account('bob')].map(({ name, password }) => ({ user: name, password }));
    const registration = await runSipp(host, { scenario: 'register', target: publicAddress, users });
    assert.equal(registration.failed, 0, registration.errors);
    return SippRun.start(host, { scenario: 'uas-early', talkMs: 4_000, toneHz: 880 });
  }

  test('media before the answer is heard both ways, and the call goes on with it', async () => {
    await using bob = await bobWaits();
    await alice.dial('sip:bob@203.0.113.5');
    await alice.event('CALL_PROGRESS');
    const early = toneReaches(office.lab.host('bob-host'), 20_000, 440, 400, 5_000);
    await Promise.all([alice.hears(880), early]);
    assert.ok(!alice.events.some(({ type }) => type === 'CALL_ESTABLISHED'), 'all that before the answer');
    await alice.established();
    await Promise.all([alice.hears(880), toneReaches(office.lab.host('bob-host'), 20_000, 440, 400, 5_000)]);
    await alice.hangup();
    await alice.closed();
    const { successful, errors } = await bob.finished;
    assert.deepEqual([successful, errors], [1, '']);
  });

  test('an offer inside the call is refused with 488: the media stays as it was', async () => {
    await using bob = await bobWaits();
    const home = office.lab.host('home-phone');
    const { name, password } = await office.account('alice');
    await using wire = await office.lab.capture('home-phone', 'eth0', 'udp port 5060');
    await using caller = await SippRun.start(home, {
      scenario: 'uac-refused-offer',
      target: publicAddress,
      callee: 'bob',
      users: [{ user: name, password }],
      talkMs: 1_200,
      // It has fallen silent when it makes the offer: so no packet of its own can put right what the offer spoiled.
      toneMs: 100,
    });
    await wire.packet(({ payload }) => /^SIP\/2\.0 488 /.test(payload.toString('latin1')));
    await toneReaches(home, 20_000, 880, 400, 5_000);
    const [calling, called] = [await caller.finished, await bob.finished];
    assert.deepEqual([calling.successful, calling.errors], [1, '']);
    assert.deepEqual([called.successful, called.errors], [1, '']);
    assert.equal(calling.rtpReceived.get(29_998), undefined, 'nothing goes to the port that was refused');
  });

  test('the offer comes in the 200, the answer in the ACK', async () => {
    const { name, password } = await office.account('bob');
    await using caller = await SippRun.start(office.lab.host('bob-host'), {
      scenario: 'uac-late-offer',
      target: publicAddress,
      callee: 'alice',
      users: [{ user: name, password }],
      talkMs: 1_500,
      toneHz: 660,
    });
    await alice.ringing();
    await alice.answer();
    await alice.established();
    await Promise.all([alice.hears(660), toneReaches(office.lab.host('bob-host'), 20_000, 440, 400, 5_000)]);
    await alice.closed();
    const { successful, errors } = await caller.finished;
    assert.deepEqual([successful, errors], [1, '']);
  });
});
