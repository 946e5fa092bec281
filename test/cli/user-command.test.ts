import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openAccountStore } from '../../src/account/account-store.ts';
import type { Input } from '../../src/cli/read-password.ts';
import { runUserCommand } from '../../src/cli/user-command.ts';

let directory: string;
let stateDir: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cloudsip-user-'));
  stateDir = join(directory, 'state');
});

afterEach(() => rm(directory, { recursive: true }));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function runWith(stdin: Input, args: string[], uid?: number): Promise<Outcome> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const code = await runUserCommand(args, {
    stdin,
    stdout,
    stderr,
    stateDir,
    ...(uid === undefined ? {} : { uid }),
  });
  const text = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString() ?? '';
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function piped(text = ''): Input {
  const stdin = new PassThrough();
  stdin.end(text);
  return stdin;
}

const run = (args: string[], input = ''): Promise<Outcome> => runWith(piped(input), args);

/** A terminal at which `keys` are typed, one chunk each; `raw` tells how its mode was set. */
function terminal(keys: readonly string[]): { stdin: Input; raw: boolean[] } {
  const raw: boolean[] = [];
  const stdin = new PassThrough();
  for (const key of keys) stdin.write(key);
  const setRawMode = (mode: boolean) => raw.push(mode);
  return { stdin: Object.assign(stdin, { isTTY: true, isRaw: false, setRawMode }), raw };
}

function passwordOf(name: string): string | undefined {
  const store = openAccountStore(stateDir);
  try {
    return store.get(name)?.password;
  } finally {
    store.close();
  }
}

describe('user add', () => {
  test('takes the password from a pipe and does not show it', async () => {
    const { code, stdout, stderr } = await run(['add', 'carol'], 'pass word\nsecond line\n');
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(passwordOf('carol'), 'pass word');
    assert.ok(!stdout.includes('pass word'));
  });

  test('takes a line that ends as on Windows, or not at all', async () => {
    await run(['add', 'carol'], 'one\r\n');
    await run(['add', 'dave'], 'two');
    assert.deepEqual([passwordOf('carol'), passwordOf('dave')], ['one', 'two']);
  });

  test('makes one up and shows it where nothing is piped in', async () => {
    const { code, stdout } = await run(['add', 'carol']);
    assert.equal(code, 0);
    const shown = /^Added carol with the password ([a-z2-9]{16})\n$/.exec(stdout);
    assert.equal(shown?.[1], passwordOf('carol'));
  });

  test('asks at a terminal without echo', async () => {
    const { stdin, raw } = terminal(['sx', '\x7f', 'ecret', '\r']);
    const { code, stderr, stdout } = await runWith(stdin, ['add', 'carol']);
    assert.equal(code, 0);
    assert.match(stderr, /^Password for carol/);
    assert.equal(passwordOf('carol'), 'secret');
    assert.deepEqual(raw, [true, false]);
    assert.ok(!(stdout + stderr).includes('secret'));
  });

  test('makes one up where only Enter is pressed', async () => {
    const { stdin } = terminal(['\r']);
    assert.match((await runWith(stdin, ['add', 'carol'])).stdout, /with the password [a-z2-9]{16}\n/);
  });

  test('changes nothing on Ctrl-C and leaves the terminal as it was', async () => {
    const { stdin, raw } = terminal(['sec', '\x03', 'ret\r']);
    const { code, stderr } = await runWith(stdin, ['add', 'carol']);
    assert.equal(code, 1);
    assert.match(stderr, /interrupted/);
    assert.deepEqual(raw, [true, false]);
    assert.equal(passwordOf('carol'), undefined);
  });

  test('refuses a name that is taken before it asks, and an unfit one', async () => {
    await run(['add', 'carol'], 'first');
    const { stdin, raw } = terminal([]);
    const taken = await runWith(stdin, ['add', 'carol']);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /carol exists/);
    assert.deepEqual(raw, []);
    assert.equal(passwordOf('carol'), 'first');
    const unfit = await run(['add', 'c@rol']);
    assert.equal(unfit.code, 1);
    assert.match(unfit.stderr, /"c@rol"/);
  });

  test('refuses a password that is too long, whatever more comes', async () => {
    const { code, stderr } = await run(['add', 'carol'], 'x'.repeat(100_000));
    assert.equal(code, 1);
    assert.match(stderr, /1 to 128 characters/);
  });

  test('takes no password as an argument, and does not repeat it', async () => {
    const { code, stderr } = await run(['add', 'carol', 'secret']);
    assert.equal(code, 2);
    assert.match(stderr, /command line/);
    assert.ok(!stderr.includes('secret'));
    assert.equal(existsSync(stateDir), false);
  });
});

describe('user remove', () => {
  test('removes', async () => {
    await run(['add', 'carol']);
    assert.deepEqual(await run(['remove', 'carol']), { code: 0, stdout: 'Removed carol\n', stderr: '' });
    assert.equal(passwordOf('carol'), undefined);
  });

  test('says so where there is nobody of that name, and makes no store', async () => {
    const { code, stderr } = await run(['remove', 'carol']);
    assert.equal(code, 1);
    assert.match(stderr, /"carol" is none/);
    assert.equal(existsSync(stateDir), false);
  });
});

describe('user list', () => {
  beforeEach(async () => {
    await run(['add', 'carol'], 'one');
    await run(['add', 'al'], 'two');
  });

  test('shows names and passwords', async () => {
    const { code, stdout } = await run(['list']);
    assert.deepEqual([code, stdout], [0, 'NAME   PASSWORD\nal     two\ncarol  one\n']);
  });

  test('as JSON', async () => {
    const { stdout } = await run(['list', '--json']);
    const accounts = JSON.parse(stdout) as { name: string; password: string; created: string }[];
    assert.deepEqual(
      accounts.map(({ name, password }) => [name, password]),
      [
        ['al', 'two'],
        ['carol', 'one'],
      ],
    );
    assert.ok(Math.abs(Date.parse(accounts[0]!.created) - Date.now()) < 60_000);
  });

  test('without any says how to add one, and makes no store', async () => {
    await rm(stateDir, { recursive: true });
    const { code, stdout, stderr } = await run(['list']);
    assert.deepEqual([code, stdout], [0, '']);
    assert.match(stderr, /user add NAME/);
    assert.equal((await run(['list', '--json'])).stdout, '[]\n');
    assert.equal(existsSync(stateDir), false);
  });

  test('is for root and the owner', async () => {
    const stranger = 4_000_000;
    for (const args of [['list'], ['list', '--json'], ['add', 'eve'], ['remove', 'carol']]) {
      const { code, stdout, stderr } = await runWith(piped(), args, stranger);
      assert.deepEqual([code, stdout], [1, ''], args.join(' '));
      assert.match(stderr, /expected root or the owner of .*sudo/);
      assert.ok(!/one|two/.test(stderr));
    }
    assert.equal((await runWith(piped(), ['list'], process.geteuid!())).code, 0);
    assert.equal((await runWith(piped(), ['list'], 0)).code, 0);
  });
});

describe('used wrongly', () => {
  for (const args of [
    [],
    ['frob'],
    ['add'],
    ['add', 'a', 'b', 'c'],
    ['remove'],
    ['remove', 'a', 'b'],
    ['list', 'x'],
  ])
    test(`user ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /Usage:/);
    });

  test('help is no mistake', async () => {
    for (const args of [['--help'], ['add', '-h'], ['help']]) {
      const { code, stdout } = await run(args);
      assert.equal(code, 0);
      assert.match(stdout, /Usage:/);
    }
  });
});
