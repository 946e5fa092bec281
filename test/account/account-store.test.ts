import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  type AccountStore,
  accountsFile,
  ensureFirstAccounts,
  openAccountStore,
} from '../../src/account/account-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

let directory: string;
let stateDir: string;
let clock: ManualClock;
let opened: AccountStore[];

function open(options: { onReadError?: (error: unknown) => void } = {}): AccountStore {
  const store = openAccountStore(stateDir, { clock, ...options });
  opened.push(store);
  return store;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cloudsip-accounts-'));
  stateDir = join(directory, 'deep', 'state');
  clock = new ManualClock();
  opened = [];
});

afterEach(async () => {
  for (const store of opened) store.close();
  await rm(directory, { recursive: true });
});

describe('the account store', () => {
  test('adds, gets, lists and removes', () => {
    const store = open();
    assert.equal(store.isEmpty(), true);
    assert.deepEqual(store.add('zoe', 'secret'), { name: 'zoe', password: 'secret', createdAt: clock.now() });
    store.add('adam', 'other');
    assert.equal(store.get('zoe')?.password, 'secret');
    assert.equal(store.get('Zoe'), undefined);
    assert.deepEqual(
      store.list().map(({ name }) => name),
      ['adam', 'zoe'],
    );
    assert.equal(store.isEmpty(), false);
    assert.equal(store.remove('zoe'), true);
    assert.equal(store.get('zoe'), undefined);
    assert.equal(store.remove('zoe'), false);
  });

  test('keeps what it has over a restart', () => {
    open().add('alice', 'secret');
    opened.pop()!.close();
    assert.equal(open().get('alice')?.password, 'secret');
  });

  test('is closed to others: directory 0700, file 0600', async () => {
    open();
    assert.equal((await stat(stateDir)).mode & 0o777, 0o700);
    assert.equal((await stat(join(stateDir, accountsFile))).mode & 0o777, 0o600);
  });

  test('closes a file that others could read, and leaves a directory that was there as it is', async () => {
    await mkdir(stateDir, { recursive: true });
    await chmod(stateDir, 0o755);
    await writeFile(join(stateDir, accountsFile), '');
    await chmod(join(stateDir, accountsFile), 0o644);
    open();
    assert.equal((await stat(join(stateDir, accountsFile))).mode & 0o777, 0o600);
    assert.equal((await stat(stateDir)).mode & 0o777, 0o755);
  });

  test('makes a readable password of 16 characters', () => {
    const store = open();
    const passwords = Array.from({ length: 20 }, (_, n) => store.add(`user${n}`).password);
    for (const password of passwords) assert.match(password, /^[a-hjkmnp-z2-9]{16}$/);
    assert.equal(new Set(passwords).size, passwords.length);
  });

  test('refuses a name that is taken and keeps the first password', () => {
    const store = open();
    store.add('alice', 'secret');
    assert.throws(() => store.add('alice', 'other'), { name: 'AccountError', code: 'account.exists' });
    assert.equal(store.get('alice')?.password, 'secret');
  });

  for (const name of ['', 'a b', 'a@b', 'ä', 'a:b', "o'neil", 'a%20b', 'x'.repeat(65), 'a\n'])
    test(`refuses the name ${JSON.stringify(name)}`, () => {
      assert.throws(() => open().add(name), { code: 'account.name' });
    });

  for (const name of ['a', 'A.b_c~d+e-f9', '+4930123456', 'x'.repeat(64)])
    test(`takes the name ${name}`, () => {
      const store = open();
      store.add(name);
      assert.ok(store.get(name));
    });

  for (const password of ['', 'a"b', 'a\\b', 'a\nb', 'x'.repeat(129)])
    test(`refuses the password ${JSON.stringify(password.slice(0, 9))} without telling it`, () => {
      assert.throws(
        () => open().add('alice', password),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'account.password');
          if (password !== '') assert.ok(!error.message.includes(password));
          return true;
        },
      );
    });
});

describe('changes by another process', () => {
  test('are looked for every half a second where the name is known', () => {
    const agent = open();
    const command = open();
    agent.add('alice', 'secret');
    assert.equal(agent.get('alice')?.password, 'secret');
    command.remove('alice');
    clock.advance(499);
    assert.ok(agent.get('alice'), 'nothing is read from the disk within half a second');
    clock.advance(1);
    assert.equal(agent.get('alice'), undefined);
  });

  test('are looked for every 10 ms where it is not: who was just added is not turned away', () => {
    const agent = open();
    const command = open();
    assert.equal(agent.get('alice'), undefined);
    command.add('alice', 'secret');
    clock.advance(9);
    assert.equal(agent.get('alice'), undefined, 'a flood of guesses costs a hundred looks a second at most');
    clock.advance(1);
    assert.equal(agent.get('alice')?.password, 'secret');
  });

  test('its own changes are seen at once', () => {
    const agent = open();
    agent.get('alice');
    agent.add('alice', 'secret');
    assert.ok(agent.get('alice'));
  });

  test('an account is the same object as long as nothing changes', () => {
    const agent = open();
    agent.add('alice', 'secret');
    const before = agent.get('alice');
    clock.advance(5000);
    assert.equal(agent.get('alice'), before);
  });

  test('a file that cannot be read any more leaves what was read, told at most once a minute', () => {
    const errors: unknown[] = [];
    const agent = open({ onReadError: (error) => errors.push(error) });
    agent.add('alice', 'secret');
    const vandal = new DatabaseSync(join(stateDir, accountsFile));
    vandal.exec('DROP TABLE account');
    vandal.close();
    clock.advance(500);
    assert.equal(agent.get('alice')?.password, 'secret');
    clock.advance(500);
    agent.get('alice');
    assert.equal(errors.length, 1);
    clock.advance(60_000);
    agent.get('alice');
    assert.equal(errors.length, 2);
  });
});

describe('the first accounts', () => {
  test('are alice and bob, made once', () => {
    const store = open();
    const accounts = ensureFirstAccounts(store);
    assert.deepEqual(
      accounts.map(({ name }) => name),
      ['alice', 'bob'],
    );
    assert.equal(store.get('bob')?.password, accounts[1]!.password);
    assert.deepEqual(ensureFirstAccounts(store), []);
    assert.equal(store.list().length, 2);
  });

  test('do not come back after they were removed, not even after a restart', () => {
    const store = open();
    ensureFirstAccounts(store);
    store.remove('alice');
    store.remove('bob');
    assert.deepEqual(ensureFirstAccounts(store), []);
    assert.deepEqual(ensureFirstAccounts(open()), []);
    assert.equal(store.isEmpty(), true);
  });

  test('are not made where somebody has added another before', () => {
    const store = open();
    store.add('carol');
    assert.deepEqual(ensureFirstAccounts(store), []);
  });

  test('are made where a start ended before it came to them', () => {
    open();
    assert.equal(ensureFirstAccounts(open()).length, 2);
  });
});

describe('a store that cannot be opened', () => {
  test('a file of another kind says what to do', async () => {
    await mkdir(stateDir, { recursive: true });
    await writeFile(join(stateDir, accountsFile), 'this is not a database, not at all'.repeat(99));
    assert.throws(() => openAccountStore(stateDir), { code: 'account.store', message: /moved away/ });
  });

  test('a directory that is a file', async () => {
    await writeFile(join(directory, 'deep'), '');
    assert.throws(() => openAccountStore(stateDir), { code: 'account.store' });
  });
});
