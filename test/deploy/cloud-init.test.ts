import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { type RunResult, runProgram } from '../support/process.ts';

const repository = join(import.meta.dirname, '../..');
const path = join(repository, 'deploy/cloud-init.yaml');

/** The longest user data that every cloud takes: EC2's 16 KiB. */
const lengthLimit = 16 * 1024;

describe('deploy/cloud-init.yaml', () => {
  let scratch: string;
  let text: string;

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-cloud-init-'));
    text = await readFile(path, 'utf8');
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  async function check(content: string): Promise<RunResult> {
    const file = join(await mkdtemp(join(scratch, 'data-')), 'user-data');
    await writeFile(file, content);
    return runProgram('cloud-init', ['schema', '--config-file', file], { allowFailure: true });
  }

  test('satisfies cloud-init', async () => {
    const { exitCode, stdout, stderr } = await check(text);
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /Valid/);
  });

  for (const [broken, from, to] of [
    ['a command that is a map', 'runcmd:\n', 'runcmd:\n  - { npm: install }\n'],
    ['a list that is none', 'package_update: true', 'package_update: [1]'],
    ['no first line', '#cloud-config\n', ''],
  ] as const) {
    test(`would not satisfy cloud-init with ${broken}`, async () => {
      assert.ok(text.includes(from));
      assert.notEqual((await check(text.replace(from, to))).exitCode, 0);
    });
  }

  test('starts the unit from where npm puts the package that ships it', async () => {
    const { runcmd } = parse(text) as { runcmd: string[][] };
    const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as { name: string };
    const npm = runcmd.find(([command]) => command === 'npm');
    const prefix = npm?.[npm.indexOf('--prefix') + 1];
    assert.equal(npm?.at(-1), manifest.name);
    assert.ok(!npm?.includes('--omit=optional'), 'Node itself is an optional dependency');
    const unit = runcmd.flat().find((word) => word.endsWith('.service'));
    assert.equal(unit, `${prefix}/node_modules/${manifest.name}/deploy/cloudsip.service`);
    const service = await readFile(join(repository, 'deploy/cloudsip.service'), 'utf8');
    assert.ok(service.includes(`ExecStart=${prefix}/node_modules/.bin/cloudsip\n`));
  });

  test('fits into the user data of every cloud', () => {
    assert.ok(Buffer.byteLength(text) < lengthLimit);
  });
});
