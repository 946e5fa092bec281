import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CommandOptions, runCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { begins, drained, endsInPeace, openDesk } from './drain-desk.ts';
import { call, type Office } from './office.ts';

describe('the agent drains before it ends', needsRoot, () => {
  const drain = (office: Office, options: CommandOptions = {}) =>
    runCloudsip(office.cloudsip.host, ['drain'], options);

  test("by 'cloudsip drain': it waits for the last call and tells how it went", async () => {
    const desk = await openDesk();
    await using office = desk.office;
    let waiting: ReturnType<typeof drain> | undefined;
    await endsInPeace(desk, async () => {
      waiting = drain(office);
    });
    const { exitCode, stdout } = await waiting!;
    assert.equal(exitCode, 0);
    assert.match(stdout, /^draining: 1 call and 0 unanswered requests left, until \S+Z at the latest\n/);
    assert.match(stdout, /\ndrained: the agent ends\n$/);
    const late = await drain(office);
    assert.equal(late.exitCode, 1);
    assert.match(
      late.stderr,
      /^cloudsip: expected a running agent with the state directory \S+ and found none/,
    );
  });

  test('by SIGTERM, also where media is left to the telephones', async () => {
    const desk = await openDesk({ args: ['--media', 'off'] });
    await using office = desk.office;
    await endsInPeace(desk, async () => office.cloudsip.program.signal('SIGTERM'));
  });

  test('and no longer than drain-timeout says', async () => {
    const { office, alice, bob } = await openDesk({ args: ['--drain-timeout', '2s'] });
    await using _office = office;
    await call(alice, bob);
    assert.equal((await drain(office)).exitCode, 3);
    assert.deepEqual(await office.cloudsip.program.ended(10_000), { exitCode: 0, signal: null });
    const late = office.cloudsip.log.find(
      ({ msg }) => msg === 'draining took too long: what is left is cut off',
    );
    assert.equal(late?.['calls'], 1);
  });

  test('but not when it is told twice', async () => {
    const { office, alice, bob } = await openDesk();
    await using _office = office;
    await call(alice, bob);
    office.cloudsip.program.signal('SIGTERM');
    await office.cloudsip.logged(begins);
    office.cloudsip.program.signal('SIGTERM');
    assert.deepEqual(await office.cloudsip.program.ended(5_000), { exitCode: 0, signal: null });
    assert.equal(
      office.cloudsip.log.some(({ msg }) => msg === drained),
      false,
    );
  });
});
