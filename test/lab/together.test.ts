import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { labForwarders } from '../support/lab-forwarders.ts';
import { needsRoot } from '../support/privileged.ts';
import { runSipp, SippRun } from '../support/sipp.ts';
import { Office, publicAddress } from './office.ts';

const kinds = labForwarders('kernel', 'koffi');
/** Calls that talk all the time. */
const standing = 20;
const standingToneMs = 14_000;
/** Calls that come and go meanwhile. */
const rate = 200;
const passing = 8 * rate;
const passingToneMs = 200;
// A packet that leaves after the other side's BYE is nobody's loss.
const pauseMs = 300;

for (const media of kinds) {
  describe(`200 calls a second with media by ${media}`, needsRoot, () => {
    test('calls that run lose no packet, and none of the others fails', async () => {
      await using office = await Office.open({ args: ['--media', media] });
      const [alice, bob, carol] = await Promise.all(
        ['alice', 'bob', 'carol'].map((name) => office.account(name)),
      );
      const [aliceHost, bobHost] = [office.lab.host('alice-host'), office.lab.host('bob-host')];
      const target = publicAddress;
      for (const [account, localPort] of [
        [bob!, 5060],
        [carol!, 5070],
      ] as const) {
        const users = [{ user: account.name, password: account.password }];
        const { failed, errors } = await runSipp(bobHost, { scenario: 'register', target, localPort, users });
        assert.equal(failed, 0, errors);
      }
      const users = [{ user: alice!.name, password: alice!.password }];
      const stay = { calls: standing, talkMs: standingToneMs + pauseMs, toneMs: standingToneMs };
      const pass = {
        ...{ calls: passing, talkMs: passingToneMs + pauseMs, toneMs: passingToneMs },
        ...{ localPort: 5070, mediaPort: 30_000 },
      };
      await using called = await SippRun.start(bobHost, { scenario: 'uas', ...stay });
      await using passed = await SippRun.start(bobHost, { scenario: 'uas', ...pass });
      await using caller = await SippRun.start(aliceHost, {
        ...{ scenario: 'uac', target, callee: 'bob', users, callsPerSecond: standing, ...stay },
      });
      const passer = await runSipp(aliceHost, {
        ...{ scenario: 'uac', target, callee: 'carol', users, callsPerSecond: rate, ...pass },
      });
      assert.deepEqual([passer.successful, passer.failed, passer.errors], [passing, 0, '']);
      assert.equal((await passed.stop()).failed, 0);
      for (const [who, run] of [
        ['the callee', called],
        ['the caller', caller],
      ] as const) {
        const { successful, failed, errors, rtpReceived } = await run.finished;
        assert.deepEqual([successful, failed, errors], [standing, 0, '']);
        assert.equal(rtpReceived.size, standing);
        const short = [...rtpReceived.values()].filter((count) => count !== standingToneMs / 20);
        assert.deepEqual(short, [], `what reached ${who}`);
      }
      await office.mediaPortsReturned();
    });
  });
}
