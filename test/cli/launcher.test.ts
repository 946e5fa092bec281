import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../..');
const nodePackage = `node-linux-${arch()}`;

/** What the stand-in for the program prints: which node ran it, from where, with which arguments. */
const program =
  'console.log(JSON.stringify({ node: process.env.STAND_IN, program: process.argv[1], args: process.argv.slice(2) }));';

let scratch: string;
let place: string;
let counter = 0;

async function put(path: string, content: string, mode = 0o644): Promise<string> {
  const full = join(place, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, content);
  await chmod(full, mode);
  return full;
}

/** A node that answers `--version` and hands everything else to the Node of this test. */
function standIn(version: string): string {
  return `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit; fi\nSTAND_IN="$0" exec '${process.execPath}' "$@"\n`;
}

async function install(at: string): Promise<string> {
  const launcher = join(place, at, 'src/cloudsip');
  await mkdir(dirname(launcher), { recursive: true });
  await copyFile(join(repository, 'src/cloudsip'), launcher);
  return launcher;
}

/** Runs the launcher where the PATH has only `path` and the tools of the system. */
async function launch(launcher: string, args: string[] = [], path?: string) {
  const tools = await toolsOnly();
  const env = { PATH: path ? `${path}${delimiter}${tools}` : tools };
  const { stdout } = await run(launcher, args, { env });
  return JSON.parse(stdout) as { node: string; program: string; args: string[] };
}

/** A directory with the few tools that the launcher calls and no node, wherever the machine has its own. */
async function toolsOnly(): Promise<string> {
  const directory = join(scratch, 'tools');
  await mkdir(directory, { recursive: true });
  for (const tool of ['sh', 'dirname', 'readlink', 'uname', 'find']) {
    for (const from of ['/bin', '/usr/bin']) {
      await symlink(join(from, tool), join(directory, tool)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
  }
  return directory;
}

describe('the launcher', () => {
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-launcher-'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));
  beforeEach(async () => {
    place = join(scratch, String(counter++));
    await mkdir(place);
  });

  test('runs the sources of a checkout with the Node that npm brought', async () => {
    const launcher = await install('.');
    const main = await put('src/main.ts', program);
    const node = await put(`node_modules/${nodePackage}/bin/node`, standIn('v24.21.0'), 0o755);
    const seen = await launch(launcher, ['--listen', 'udp:127.0.0.1:0', 'two words', '']);
    assert.equal(seen.node, node);
    assert.equal(seen.program, main);
    assert.deepEqual(seen.args, ['--listen', 'udp:127.0.0.1:0', 'two words', '']);
    await rm(node);
    await assert.rejects(launch(launcher), /expected Node 24\.12 or newer/);
  });

  test('runs the built program of a checkout until a source is newer', async () => {
    const launcher = await install('.');
    const main = await put('src/main.ts', program);
    const other = await put('src/room/other.ts', '');
    const provider = await put('providers/ec2.ts', '');
    const built = await put('dist/src/main.js', program);
    await put(`node_modules/${nodePackage}/bin/node`, standIn('v24.21.0'), 0o755);
    for (const source of [main, other, provider]) await utimes(source, 1000, 1000);
    await utimes(built, 2000, 2000);
    assert.equal((await launch(launcher)).program, built);
    for (const edited of [other, provider]) {
      await utimes(edited, 3000, 3000);
      assert.equal((await launch(launcher)).program, main);
      await utimes(edited, 1000, 1000);
    }
  });

  test('runs the built program of a published package through the link that npm makes', async () => {
    const launcher = await install('node_modules/cloudsip');
    const main = await put('node_modules/cloudsip/dist/src/main.js', program);
    await put(`node_modules/${nodePackage}/bin/node`, standIn('v24.12.0'), 0o755);
    await mkdir(join(place, 'node_modules/.bin'));
    const link = join(place, 'node_modules/.bin/cloudsip');
    await symlink('../cloudsip/src/cloudsip', link);
    const outer = join(place, 'cloudsip');
    await symlink(link, outer);
    for (const path of [launcher, link, outer]) assert.equal((await launch(path)).program, main);
  });

  test('takes the machine’s node where npm brought none', async () => {
    const launcher = await install('.');
    await put('src/main.ts', program);
    const own = await put('own/node', standIn('v24.12.1'), 0o755);
    assert.equal((await launch(launcher, [], dirname(own))).node, own);
  });

  test('passes by a Node that npm brought for another machine', async () => {
    const launcher = await install('.');
    await put('src/main.ts', program);
    await put(`node_modules/${nodePackage}/bin/node`, '#!/no/such/loader\n', 0o755);
    const own = await put('own/node', standIn('v26.0.0'), 0o755);
    assert.equal((await launch(launcher, [], dirname(own))).node, own);
  });

  for (const version of ['v20.20.2', 'v24.11.1', 'v9.99.0', 'nonsense']) {
    test(`says what it expected where the only node is ${version}`, async () => {
      const launcher = await install('.');
      await put('src/main.ts', program);
      const own = dirname(await put('own/node', standIn(version), 0o755));
      await assert.rejects(launch(launcher, [], own), (error: Error & { code: number; stderr: string }) => {
        assert.equal(error.code, 1);
        assert.match(error.stderr, new RegExp(`expected Node 24\\.12 or newer and found ${version}`));
        return true;
      });
    });
  }

  test('says so where the program is missing', async () => {
    const launcher = await install('.');
    await assert.rejects(launch(launcher), /expected .*main\.ts or .*main\.js and found neither/);
  });

  test('hands on the exit status', async () => {
    const launcher = await install('.');
    await put('src/main.ts', 'process.exitCode = 42;');
    await put(`node_modules/${nodePackage}/bin/node`, standIn('v24.21.0'), 0o755);
    await assert.rejects(run(launcher), { code: 42 });
  });

  test('becomes Node, so that a service manager’s signals and notices reach the program itself', async () => {
    const launcher = await install('.');
    await put('src/main.ts', 'console.log(process.pid);');
    await symlink(process.execPath, join(dirname(await put('own/x', '')), 'node'));
    const child = run(launcher, { env: { PATH: `${join(place, 'own')}:/usr/bin:/bin` } });
    assert.equal((await child).stdout, `${child.child.pid}\n`);
  });
});

describe('the package', () => {
  test('ships the launcher as its command', async () => {
    const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
      files: string[];
    };
    assert.deepEqual(manifest.bin, { cloudsip: 'src/cloudsip' });
    assert.ok(manifest.files.includes('src/cloudsip'));
    assert.ok(manifest.files.includes('dist'));
    assert.ok(manifest.files.includes('deploy'));
  });

  test('puts Node 24 before the machine’s own node in every npm script', async () => {
    // This test may itself run below npm, which has put the right Node first already.
    const path = (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((entry) => !entry.includes('node_modules'));
    const { stdout } = await run('npm', ['exec', '--', 'node', '-p', 'process.version'], {
      cwd: repository,
      env: { ...process.env, PATH: path.join(delimiter) },
    });
    assert.match(stdout, /^v24\./);
  });
});
