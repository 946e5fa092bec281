import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { runDoctorCommand } from '../../src/cli/doctor-command.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';
import type { Finding, Verdict } from '../../src/discovery/finding.ts';
import { checkConfiguration } from '../../src/doctor/configuration-warnings.ts';
import { systemClock } from '../../src/net/clock.ts';
import { fakePatient } from '../doctor/fake-patient.ts';

const long =
  'Answers from 10.0.1.15 (ens6) to the internet leave by ens5 via 10.0.0.1 (table main): the cloud drops what leaves by an interface that does not have its source address.';

function finding(verdict: Verdict, more: Partial<Finding> = {}): Finding {
  return { check: 'routing', verdict, evidence: long, ...more };
}

async function run(
  findings: readonly Finding[],
  {
    argv = [],
    terminal = false,
    env = {},
  }: { argv?: string[]; terminal?: boolean; env?: Record<string, string> } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const invocation = await readConfiguration(['doctor', ...argv], env, () => '');
  assert.ok(invocation.kind === 'doctor');
  const stdout = Object.assign(new PassThrough(), terminal && { isTTY: true, columns: 80 });
  const stderr = new PassThrough();
  const code = await runDoctorCommand(invocation, {
    providers: [],
    clock: systemClock,
    env,
    stdout,
    stderr,
    doctor: { checks: [{ name: 'given', run: () => findings }], agent: { pid: 1, uid: 0 } },
  });
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

describe('cloudsip doctor', () => {
  test('ends with 1 where something fails, and with 0 else', async () => {
    for (const [verdicts, code] of [
      [['pass', 'warn', 'skip'], 0],
      [['pass', 'fail', 'pass'], 1],
      [[], 0],
    ] as const) {
      assert.equal((await run(verdicts.map((verdict) => finding(verdict)))).code, code);
    }
  });

  test('wraps sentences to the terminal and leaves what is to be pasted in one line', async () => {
    const command = `  ip rule add ${'x'.repeat(90)}`;
    const remedy = `Let it ask a table of its own, now:\n${command}`;
    const { stdout } = await run([finding('fail', { subject: '10.0.1.15', remedy })], {
      terminal: true,
      env: { NO_COLOR: '1' },
    });
    assert.equal(
      stdout,
      `FAIL  routing 10.0.1.15
      Answers from 10.0.1.15 (ens6) to the internet leave by ens5 via 10.0.0.1
      (table main): the cloud drops what leaves by an interface that does not
      have its source address.
      -> Let it ask a table of its own, now:
         ${command}

1 failed, 0 to look at, 0 passed, 0 not checked: see routing
`,
    );
  });

  test('tells in passing what is well, and puts the command of a cloud into a line of its own', async () => {
    const evidence = 'The groups of the interface let nothing in on the port of the listener, from anywhere.';
    const remedy = `Open it with the command: aws ec2 authorize-security-group-ingress --group-id sg-1 --ip-permissions 'IpProtocol=udp'`;
    const { stdout } = await run(
      [finding('pass', { evidence }), finding('warn', { evidence: 'No.', remedy })],
      {
        terminal: true,
        env: { NO_COLOR: '1' },
      },
    );
    assert.equal(
      stdout,
      `pass  routing: The groups of the interface let nothing in on the port of the
      listener, from anywhere.
WARN  routing
      No.
      -> Open it with the command:
           aws ec2 authorize-security-group-ingress --group-id sg-1 --ip-permissions 'IpProtocol=udp'

0 failed, 1 to look at, 1 passed, 0 not checked: see routing
`,
    );
  });

  test('colours only a terminal, and not where NO_COLOR is set', async () => {
    const coloured = async (options: Parameters<typeof run>[1]): Promise<boolean> =>
      (await run([finding('fail')], options)).stdout.includes('\x1b[');
    assert.equal(await coloured({ terminal: true }), true);
    assert.equal(await coloured({ terminal: true, env: { NO_COLOR: '1' } }), false);
    assert.equal(await coloured({}), false);
  });

  test('lets nobody who is quoted command the terminal', async () => {
    const evidence = 'It said \x1b]0;owned\x07 and \x9b2J.\nFAIL forged';
    const { stdout } = await run([finding('pass', { subject: 'a\x1bb', evidence })]);
    assert.equal(
      stdout.slice(0, stdout.indexOf('\n') + 1),
      'pass  routing a?b: It said ?]0;owned? and ?2J. FAIL forged\n',
    );
  });

  test('tells the same as JSON, with every key', async () => {
    const { code, stdout } = await run([finding('warn', { remedy: 'Do.' }), finding('skip')], {
      argv: ['--json'],
    });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), {
      verdict: 'warn',
      counts: { pass: 0, warn: 1, fail: 0, skip: 1 },
      findings: [
        { check: 'routing', subject: null, verdict: 'warn', evidence: long, remedy: 'Do.' },
        { check: 'routing', subject: null, verdict: 'skip', evidence: long, remedy: null },
      ],
    });
  });

  test('tells of variables that have no effect', async () => {
    const invocation = await readConfiguration(['doctor'], { CLOUDSIP_LISTN: 'x' }, () => '');
    assert.ok(invocation.kind === 'doctor');
    const [found, ...more] = checkConfiguration(fakePatient({ warnings: invocation.warnings }));
    assert.deepEqual(more, []);
    assert.equal(found!.verdict, 'warn');
    assert.match(found!.evidence, /^The environment variable CLOUDSIP_LISTN has no effect/);
  });
});
