import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { BaresipPhone } from '../support/baresip.ts';
import { needsRoot } from '../support/privileged.ts';
import { clouds } from './clouds.ts';
import { call, hangUp, holdAndResume, Office, publicAddress, talk } from './office.ts';

/** Of the machine's second card, where bob is registered: every call of his passes both cards. */
const secondCard = '203.0.113.7';
const toBob = `sip:bob@${publicAddress}`;
const toAlice = `sip:alice@${secondCard}`;

for (const [name, options] of Object.entries(clouds)) {
  describe(`how a call begins and ends: ${name}`, needsRoot, () => {
    let office: Office;
    let alice: BaresipPhone;
    let bob: BaresipPhone;
    /** A second telephone of bob's, at home behind a NAT. */
    let bobAtHome: BaresipPhone;

    before(async () => {
      office = await Office.open(options);
      await Promise.all([office.knows(publicAddress), office.knows(secondCard)]);
      await Promise.all([office.account('alice'), office.account('bob')]);
      [alice, bob] = await Promise.all([
        office.phone('alice-host', { user: 'alice', toneHz: 440 }),
        office.phone('bob-host', { user: 'bob', domain: secondCard, toneHz: 880 }),
      ]);
    });
    after(() => office[Symbol.asyncDispose]());
    afterEach(() => office.mediaPortsReturned());

    test('the caller gives up while it rings', async () => {
      await alice.dial(toBob);
      await bob.ringing();
      assert.ok((await office.mediaPorts()) > 0);
      await alice.hangup();
      await Promise.all([alice.closed(), bob.closed()]);
    });

    test('the callee is busy', async () => {
      await alice.dial(toBob);
      await bob.ringing();
      await bob.reject();
      assert.match((await alice.closed()).param ?? '', /486/);
      await bob.closed();
    });

    test('nobody of that name is registered', async () => {
      await office.account('carol');
      await alice.dial(`sip:carol@${publicAddress}`);
      assert.match((await alice.closed()).param ?? '', /480/);
      await alice.dial(`sip:nobody@${publicAddress}`);
      assert.match((await alice.closed()).param ?? '', /404/);
    });

    test('nobody answers', async () => {
      const dave = await office.phone('home-phone', { user: 'dave', toneHz: 1000, ringsForS: 1 });
      await alice.dial(dave.uri);
      await dave.ringing();
      assert.match((await dave.closed()).param ?? '', /Local timeout/);
      assert.match((await alice.closed()).param ?? '', /^4\d\d /);
      await dave.kill();
    });

    test('either side holds and takes back, either side ends it, and the callee calls back at once', async () => {
      await call(alice, bob, toBob);
      await holdAndResume(alice, bob);
      await holdAndResume(bob, alice);
      await hangUp(bob, alice);
      await call(bob, alice, toAlice);
      await hangUp(bob, alice);
    });

    test('of two telephones of one user the one that answers has the call, the other stops ringing', async () => {
      bobAtHome = await office.phone('home-phone', { user: 'bob', toneHz: 1200 });
      for (const [winner, loser] of [
        [bob, bobAtHome],
        [bobAtHome, bob],
      ] as const) {
        await alice.dial(toBob);
        await Promise.all([bob.ringing(), bobAtHome.ringing()]);
        await winner.answer();
        await Promise.all([alice.established(), winner.established(), loser.closed()]);
        await talk(alice, winner);
        await hangUp(winner, alice);
      }
    });

    test('of two telephones one refuses, and the other still has the call', async () => {
      await alice.dial(toBob);
      await Promise.all([bob.ringing(), bobAtHome.ringing()]);
      await bob.reject();
      await bob.closed();
      await bobAtHome.answer();
      await Promise.all([alice.established(), bobAtHome.established()]);
      await talk(alice, bobAtHome);
      await hangUp(alice, bobAtHome);
      await bobAtHome.kill();
    });
  });
}
