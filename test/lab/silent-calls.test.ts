import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsRoot } from '../support/privileged.ts';
import { runSipp, SippRun } from '../support/sipp.ts';
import { Office, publicAddress } from './office.ts';

describe('a call whose media falls silent', needsRoot, () => {
  test('is ended on both sides where that is asked for, and gives its ports back', async () => {
    await using office = await Office.open({ args: ['--silent-calls', 'bye', '--silence', '2,2,2'] });
    const [alice, bob] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.account('bob'),
    ]);
    const bobHost = office.lab.host('bob-host');
    const users = [{ user: bob.name, password: bob.password }];
    const registration = await runSipp(bobHost, { scenario: 'register', target: publicAddress, users });
    assert.equal(registration.failed, 0, registration.errors);
    // He says something for a second, and then waits for the BYE of somebody.
    await using called = await SippRun.start(bobHost, { scenario: 'uas', toneMs: 1_000, toneHz: 880 });
    await alice.dial('sip:bob@203.0.113.5');
    await alice.established();
    await alice.hears(880);
    // Her telephone hangs, as after a crash: no packet, no word.
    alice.program.signal('SIGSTOP');
    try {
      const { successful, errors } = await called.finished;
      assert.deepEqual([successful, errors], [1, '']);
      await office.mediaPortsReturned();
    } finally {
      alice.program.signal('SIGCONT');
    }
    // The BYE waits for her as well.
    await alice.closed();
  });
});
