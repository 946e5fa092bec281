import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildLab } from '../lab/build-lab.ts';
import { cloud } from '../lab/cloud.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabSocket } from '../lab/lab-socket.ts';
import { BaresipPhone } from './baresip.ts';
import { needsRoot } from './privileged.ts';

describe('two telephones without anything between them', needsRoot, () => {
  let lab: Lab;
  let alice: BaresipPhone;
  let bob: BaresipPhone;
  before(async () => {
    lab = await buildLab(cloud);
    alice = await BaresipPhone.start(lab.host('alice-host'), { user: 'alice', toneHz: 440 });
    bob = await BaresipPhone.start(lab.host('bob-host'), { user: 'bob', toneHz: 880 });
  });
  after(async () => {
    await Promise.all([alice.stop(), bob.stop()]);
    await lab.close();
  });

  test('ring, talk, hold, resume and hang up', async () => {
    await alice.dial(bob.uri);
    assert.equal((await bob.ringing()).peeruri, alice.uri);
    await bob.answer();
    await Promise.all([alice.established(), bob.established()]);
    await Promise.all([alice.hears(880), bob.hears(440)]);
    assert.equal(alice.receivedTone()?.frequencyHz, 880);
    assert.equal(bob.receivedTone()?.frequencyHz, 440);
    await bob.hold();
    await bob.resume();
    await Promise.all([alice.hears(880), bob.hears(440)]);
    await alice.hangup();
    await Promise.all([alice.closed(), bob.closed()]);
  });

  test('a phone does not hear what is not played', async () => {
    await alice.dial(bob.uri);
    await bob.ringing();
    await bob.answer();
    await alice.established();
    await alice.hears(880);
    await assert.rejects(alice.hears(440, { timeoutMs: 500 }), /440 Hz was not heard in 500 ms: 880 Hz/);
    await bob.hangup();
    await Promise.all([alice.closed(), bob.closed()]);
  });

  test('one is busy', async () => {
    await alice.dial(bob.uri);
    await bob.ringing();
    await bob.reject();
    assert.match((await alice.closed()).param ?? '', /^486/);
    await bob.closed();
  });

  test('the caller gives up while it rings', async () => {
    await alice.dial(bob.uri);
    await bob.ringing();
    await alice.event('CALL_RINGING');
    await alice.hangup();
    await Promise.all([alice.closed(), bob.closed()]);
  });

  test('one answers by itself', async () => {
    const options = { user: 'robot', toneHz: 1000, port: 5070, answerMode: 'auto' } as const;
    const robot = await BaresipPhone.start(lab.host('neighbour'), options);
    const caller = await BaresipPhone.start(lab.host('neighbour2'), { user: 'caller', toneHz: 600 });
    await caller.dial(robot.uri);
    await caller.established();
    await Promise.all([caller.hears(1000), robot.hears(600)]);
    await Promise.all([robot.kill(), caller.kill()]);
  });
});

describe('a telephone and a registrar', needsRoot, () => {
  test('it says when it is registered, and when it was refused', async () => {
    await using lab = await buildLab(cloud);
    await using registrar = await lab.host('bob-host').openUdp(undefined, 5060);
    const account = { domain: '198.51.100.20', toneHz: 440 };
    await using alice = await BaresipPhone.start(lab.host('alice-host'), { ...account, user: 'alice' });
    assert.match(
      await answerRegister(registrar, '200 OK'),
      /^REGISTER sip:198\.51\.100\.20 .*>;expires=60\r\n/s,
    );
    await alice.registered();
    await using home = await BaresipPhone.start(lab.host('home-phone'), { ...account, user: 'home' });
    const [refused] = await Promise.allSettled([
      home.registered(),
      answerRegister(registrar, '403 Forbidden'),
    ]);
    assert.match(String(refused.status === 'rejected' && refused.reason), /refused: 403 Forbidden/);
  });
});

/** Answers the next REGISTER and returns it. */
async function answerRegister(registrar: LabSocket, status: string): Promise<string> {
  const { bytes, source } = await registrar.receive();
  const request = bytes.toString();
  const copied = request.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq|Contact):/.test(line));
  const response = [`SIP/2.0 ${status}`, ...copied, 'Expires: 60', 'Content-Length: 0', '', ''].join('\r\n');
  await registrar.send(response, source.port, source.address);
  return request;
}
