import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runProgram } from '../support/process.ts';

const repository = join(import.meta.dirname, '../..');

describe('the package as npm publishes it', () => {
  let scratch: string;
  let files: string[];

  /** Lays out what `npm install cloudsip` does, with a fresh build and without asking a registry. */
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-package-'));
    const modules = join(scratch, 'node_modules');
    const own = join(modules, 'cloudsip');
    await mkdir(own, { recursive: true });
    for (const name of await readdir(join(repository, 'node_modules'))) {
      if (!name.startsWith('.')) await symlink(join(repository, 'node_modules', name), join(modules, name));
    }
    const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const { stdout } = await runProgram('npm', pack, { cwd: repository, timeoutMs: 60_000 });
    files = packed(JSON.parse(stdout)).filter((path) => !path.startsWith('dist/'));
    for (const path of files) {
      await mkdir(dirname(join(own, path)), { recursive: true });
      await cp(join(repository, path), join(own, path));
    }
    const compiler = join(repository, 'node_modules/.bin/tsc');
    const build = ['-p', join(repository, 'tsconfig.build.json'), '--outDir', join(own, 'dist')];
    await runProgram(compiler, build, { timeoutMs: 120_000 });
    await mkdir(join(modules, '.bin'));
    await symlink('../cloudsip/src/cloudsip', join(modules, '.bin/cloudsip'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  test('has the launcher, the unit and the user data, and no sources', () => {
    for (const path of [
      'src/cloudsip',
      'deploy/cloudsip.service',
      'deploy/cloud-init.yaml',
      'package.json',
    ]) {
      assert.ok(files.includes(path), path);
    }
    assert.deepEqual(
      files.filter((path) => path.endsWith('.ts') || path.startsWith('test/')),
      [],
    );
  });

  test('runs from where npm puts it', async () => {
    const command = join(scratch, 'node_modules/.bin/cloudsip');
    const { version } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
      version: string;
    };
    assert.match((await runProgram(command, ['--help'])).stdout, /^cloudsip/);
    assert.equal((await runProgram(command, ['--version'])).stdout, `cloudsip ${version}\n`);
    const state = ['--state-dir', join(scratch, 'state')];
    await runProgram(command, ['user', 'add', 'nina', ...state]);
    assert.match((await runProgram(command, ['user', 'list', ...state])).stdout, /\bnina\b/);
  });
});

/** npm 12 answers by the package's name, those before it with a list. */
function packed(answer: unknown): string[] {
  const [first] = Object.values(answer as Record<string, { files: { path: string }[] }>);
  return (first?.files ?? []).map((file) => file.path);
}
