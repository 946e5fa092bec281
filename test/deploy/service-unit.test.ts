import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runProgram } from '../support/process.ts';

const repository = join(import.meta.dirname, '../..');

/**
 * As systemd rates it, from 0 (nothing to reach) to 10. Network access alone is worth 0.5, what the kernel's
 * forwarder needs (two capabilities of the machine itself, bpf(2)) 0.8.
 */
const exposureLimit = 1.9;

describe('deploy/cloudsip.service', () => {
  let scratch: string;
  let unit: string;

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-unit-'));
    unit = await readFile(join(repository, 'deploy/cloudsip.service'), 'utf8');
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  /** Writes the unit with its program where this machine has it: the checkout's launcher. */
  async function place(text: string): Promise<string> {
    const directory = await mkdtemp(join(scratch, 'unit-'));
    const path = join(directory, 'cloudsip.service');
    const here = text.replace('/opt/cloudsip/node_modules/.bin/cloudsip', join(repository, 'src/cloudsip'));
    await writeFile(path, here);
    return path;
  }

  async function verify(text: string): Promise<{ exitCode: number | null; said: string }> {
    const path = await place(text);
    const { exitCode, stdout, stderr } = await runProgram('systemd-analyze', ['verify', '--man=no', path], {
      allowFailure: true,
    });
    return { exitCode, said: `${stdout}${stderr}`.trim() };
  }

  test('starts the command that npm installs', () => {
    assert.match(unit, /^ExecStart=\/opt\/cloudsip\/node_modules\/\.bin\/cloudsip$/m);
  });

  test('satisfies systemd', async () => {
    assert.deepEqual(await verify(unit), { exitCode: 0, said: '' });
  });

  for (const [broken, from, to] of [
    ['a mistyped key', 'RestartSec=', 'RestrtSec='],
    ['a value that no key has', 'Restart=on-failure', 'Restart=sometimes'],
    ['a program that is not there', 'ExecStart=/opt/cloudsip/', 'ExecStart=/opt/no-such-place/'],
  ] as const) {
    test(`would not satisfy systemd with ${broken}`, async () => {
      assert.ok(unit.includes(from));
      assert.notEqual((await verify(unit.replace(from, to))).said, '');
    });
  }

  test('exposes little', async () => {
    const path = await place(unit);
    const args = ['security', '--no-pager', '--offline=true', path];
    const { stdout } = await runProgram('systemd-analyze', args);
    const exposure = Number(/Overall exposure level for cloudsip\.service: ([\d.]+)/.exec(stdout)?.[1]);
    assert.ok(exposure <= exposureLimit, `expected an exposure of at most ${exposureLimit}:\n${stdout}`);
  });

  test('grants what the forwarder in the kernel needs, and no other capability', () => {
    for (const key of ['CapabilityBoundingSet', 'AmbientCapabilities']) {
      assert.match(unit, new RegExp(`^${key}=CAP_BPF CAP_NET_ADMIN$`, 'm'));
    }
    assert.ok(
      unit.lastIndexOf('\nSystemCallFilter=bpf\n') > unit.lastIndexOf('\nSystemCallFilter=~@privileged'),
    );
    assert.doesNotMatch(unit, /^PrivateUsers=/m);
  });

  test('lets Node compile and lets the agent tell when it is ready', () => {
    assert.doesNotMatch(unit, /^MemoryDenyWriteExecute=/m);
    assert.match(unit, /^Type=notify$/m);
    assert.match(unit, /^NotifyAccess=main$/m);
    assert.match(unit, /^RestrictAddressFamilies=.*\bAF_UNIX\b/m);
  });
});
