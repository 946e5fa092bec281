import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, Office, publicAddress } from './office.ts';

describe('a person at a terminal', needsRoot, () => {
  test('reads two accounts off the screen, types them into two phones, and they call each other', async () => {
    await using office = await Office.open({ terminal: true });
    const { program } = office.cloudsip;
    await program.line(/name +password +server/);
    const row = async (name: string): Promise<string> => {
      const line = await program.line(new RegExp(`^ +${name} +\\S+ +${publicAddress}`));
      return line.trim().split(/ +/)[1]!;
    };
    assert.match(program.output, /cloudsip \S+ on ec2, ready after/);
    const alice = await office.phone('alice-host', {
      user: 'alice',
      password: await row('alice'),
      toneHz: 440,
    });
    const bob = await office.phone('bob-host', { user: 'bob', password: await row('bob'), toneHz: 880 });
    await call(alice, bob);
    await hangUp(bob, alice);
    program.write('\x03');
    assert.deepEqual(await program.ended(10_000), { exitCode: 0, signal: null });
  });
});
