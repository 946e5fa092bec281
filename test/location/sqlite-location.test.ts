import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Binding } from '../../src/location/binding.ts';
import { LocationDatabase } from '../../src/location/location-database.ts';
import type { LocationStore } from '../../src/location/location-store.ts';
import {
  type BindingTable,
  locationFile,
  openSqliteLocation,
  SqliteLocation,
} from '../../src/location/sqlite-location.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { binding } from './bindings.ts';

let directory: string;
let path: string;
let clock: ManualClock;
let reports: string[];
let opened: LocationStore[];

const report = (sentence: string) => reports.push(sentence);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cloudsip-location-'));
  path = join(directory, locationFile);
  clock = new ManualClock();
  reports = [];
  opened = [];
});

afterEach(async () => {
  for (const store of opened) store.close();
  await rm(directory, { recursive: true });
});

function open(): LocationStore {
  const store = openSqliteLocation(directory, clock, { report });
  opened.push(store);
  return store;
}

function reopen(): LocationStore {
  opened.pop()!.close();
  return open();
}

function rows(): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare('SELECT count(*) AS n FROM binding').get()!['n'] as number;
  } finally {
    database.close();
  }
}

const aors = (store: LocationStore) => [...store.bindings()].map(({ aor }) => aor).sort();

describe('bindings in a file', () => {
  test('come back after a restart with everything that they had', () => {
    const full = binding({
      params: ';+sip.instance="<urn:uuid:1>";q=0.5',
      q: 500,
      path: ['<sip:p1.example.com;lr>', '<sip:[2001:db8::1]:5070;lr>'],
      received: { address: '2001:db8::7', port: 5061 },
      userAgent: 'Gr\xfc\xdfe "1.0"',
      contact: 'sip:%00@x?Route=%3Csip:y%3E',
      cseq: 2 ** 31 - 1,
    });
    const nul = binding({ aor: 'null-\0-null', contact: 'sip:n@x' });
    const before = open();
    before.replace('alice', [full]);
    before.replace('null-\0-null', [nul]);
    const after = reopen();
    assert.deepEqual(after.lookup('alice'), [full]);
    assert.deepEqual(after.lookup('null-\0-null'), [nul]);
    assert.equal(after.size, 2);
    assert.deepEqual(reports, []);
  });

  test('several of one address of record and several addresses', () => {
    const store = open();
    store.replace('bob', [binding({ aor: 'bob' })]);
    store.replace('alice', [binding({ contact: 'sip:a@x' }), binding({ contact: 'sip:b@x', q: 1 })]);
    store.replace('carol', [binding({ aor: 'carol' })]);
    const after = reopen();
    assert.deepEqual(aors(after), ['alice', 'alice', 'bob', 'carol']);
    assert.deepEqual(
      after.lookup('alice').map(({ contact }) => contact),
      ['sip:a@x', 'sip:b@x'],
    );
  });

  test('a change touches what changed and removes what went', () => {
    const store = open();
    const kept = binding({ contact: 'sip:kept@x' });
    store.replace('alice', [kept, binding({ contact: 'sip:gone@x' }), binding({ contact: 'sip:new@x' })]);
    store.replace('alice', [binding({ contact: 'sip:new@x', cseq: 2 }), kept]);
    const contacts = reopen().lookup('alice');
    assert.deepEqual(contacts.map(({ contact, cseq }) => [contact, cseq]).sort(), [
      ['sip:kept@x', 1],
      ['sip:new@x', 2],
    ]);
    store.replace('alice', []);
  });

  test('the expired do not come back, and leave the file when they are purged', () => {
    const store = open();
    store.replace('alice', [binding({ expiresAt: clock.now() + 500 })]);
    store.replace('bob', [binding({ aor: 'bob', expiresAt: clock.now() + 5000 })]);
    assert.equal(rows(), 2);
    clock.advance(1000);
    assert.equal(rows(), 1);
    opened.pop()!.close();
    clock.advance(10_000);
    assert.equal(open().size, 0);
    assert.equal(rows(), 0);
  });

  test('the file is closed to others', async () => {
    open();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  test('leaves no timer behind', () => {
    open();
    clock.advance(3000);
    opened.pop()!.close();
    assert.equal(clock.pending, 0);
  });
});

describe('after kill -9', () => {
  test('everything is there whose replace had returned', async () => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'register-until-killed.ts'), directory],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let told = '';
    child.stdout.setEncoding('utf8');
    for await (const chunk of child.stdout) {
      told += chunk as string;
      if (told.split('\n').length > 500 && !child.killed) child.kill('SIGKILL');
    }
    if (child.signalCode === null) await once(child, 'exit');
    assert.equal(child.signalCode, 'SIGKILL');
    const promised = told.split('\n').slice(0, -1);
    assert.ok(promised.length >= 500);
    const store = open();
    for (const aor of promised) assert.equal(store.lookup(aor)[0]?.contact, `sip:${aor}@192.0.2.1`, aor);
    assert.deepEqual(reports, []);
  });
});

/** A table over a real one that fails on demand. */
class FailingTable implements BindingTable {
  failing = false;
  tries = 0;
  readonly #table: LocationDatabase;

  constructor(table: LocationDatabase) {
    this.#table = table;
  }

  load(now: number): Iterable<Binding> {
    return this.#table.load(now);
  }

  change(aor: string, before: readonly Binding[], after: readonly Binding[]): void {
    this.#try();
    this.#table.change(aor, before, after);
  }

  rewrite(names: readonly string[], bindingsOf: (aor: string) => readonly Binding[]): void {
    this.#try();
    this.#table.rewrite(names, bindingsOf);
  }

  remove(bindings: readonly Binding[]): void {
    this.#try();
    this.#table.remove(bindings);
  }

  close(): void {
    this.#table.close();
  }

  #try(): void {
    this.tries++;
    if (this.failing) throw new Error('database or disk is full');
  }
}

describe('a file that cannot be written', () => {
  let table: FailingTable;
  let store: SqliteLocation;

  beforeEach(() => {
    table = new FailingTable(new LocationDatabase(path));
    store = new SqliteLocation(table, clock, { report });
    opened.push(store);
    store.replace('gone', [binding({ aor: 'gone' })]);
    table.failing = true;
  });

  test('goes on from memory and writes everything when it can again', () => {
    assert.equal(store.replace('alice', [binding()]), true);
    store.replace('bob', [binding({ aor: 'bob' })]);
    store.replace('bob', [binding({ aor: 'bob', cseq: 2 })]);
    store.replace('gone', []);
    assert.equal(store.lookup('bob')[0]!.cseq, 2);
    assert.equal(store.unwritten, 3);
    assert.equal(rows(), 1);
    table.failing = false;
    clock.advance(5000);
    assert.equal(store.unwritten, 0);
    assert.deepEqual(aors(reopen()), ['alice', 'bob']);
    assert.match(reports[1]!, /written to the disk again/);
    assert.equal(reports.length, 2);
  });

  test('is tried every five seconds, not at every REGISTER, and told of once a minute', () => {
    const before = table.tries;
    for (let n = 0; n < 100; n++) store.replace(`u${n}`, [binding({ aor: `u${n}` })]);
    assert.equal(table.tries, before + 1);
    clock.advance(59_999);
    assert.equal(table.tries, before + 12);
    assert.equal(reports.length, 1);
    assert.match(reports[0]!, /disk is full.*make room/);
    clock.advance(5000);
    assert.equal(reports.length, 2);
  });

  test('what expires meanwhile leaves the file later', () => {
    clock.advance(3_600_000 + 2000);
    assert.equal(store.size, 0);
    assert.equal(rows(), 1);
    table.failing = false;
    clock.advance(5000);
    assert.equal(rows(), 0);
  });

  test('a great many are written in batches', () => {
    for (let n = 0; n < 2500; n++) store.replace(`u${n}`, [binding({ aor: `u${n}` })]);
    table.failing = false;
    const before = table.tries;
    clock.advance(5000);
    assert.equal(table.tries, before + 3);
    assert.equal(rows(), 2501);
  });

  test('a last try is made at the end', () => {
    store.replace('alice', [binding()]);
    table.failing = false;
    assert.deepEqual(aors(reopen()), ['alice', 'gone']);
  });

  test('an end that cannot write is told of and harms nothing', () => {
    store.replace('alice', [binding()]);
    store.close();
    opened.pop();
    assert.match(reports.at(-1)!, /1 registrations could not be written/);
    assert.equal(clock.pending, 0);
  });
});

describe('a disk that is really full', () => {
  test('SQLite refuses, memory serves, and what was written stays', () => {
    const store = new SqliteLocation(new LocationDatabase(path, 20), clock, { report });
    opened.push(store);
    for (let n = 0; n < 1000; n++) assert.equal(store.replace(`u${n}`, [binding({ aor: `u${n}` })]), true);
    assert.equal(store.size, 1000);
    assert.equal(store.lookup('u999').length, 1);
    assert.ok(store.unwritten > 0 && store.unwritten < 1000);
    assert.equal(rows(), 1000 - store.unwritten);
    assert.match(reports[0]!, /full/);
  });

  test('another process that holds the file does not hold calls up', () => {
    const store = new SqliteLocation(new LocationDatabase(path), clock, { report });
    opened.push(store);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    store.replace('alice', [binding()]);
    assert.equal(store.unwritten, 1);
    other.exec('COMMIT');
    other.close();
    clock.advance(5000);
    assert.equal(store.unwritten, 0);
    assert.equal(rows(), 1);
  });
});

describe('a file that cannot be opened', () => {
  test('one that is no database is put aside', async () => {
    const junk = 'no database at all, this. '.repeat(200);
    await writeFile(path, junk);
    const store = open();
    store.replace('alice', [binding()]);
    assert.equal(await readFile(`${path}.broken`, 'utf8'), junk);
    assert.match(reports[0]!, /location\.sqlite\.broken/);
    assert.deepEqual(aors(reopen()), ['alice']);
  });

  test('one with a table of another shape is put aside', () => {
    const old = new DatabaseSync(path);
    old.exec('CREATE TABLE binding (aor TEXT)');
    old.close();
    open().replace('alice', [binding()]);
    assert.equal(reports.length, 1);
    assert.equal(rows(), 1);
  });

  test('where there is no place for it the bindings live in memory', async () => {
    await mkdir(join(directory, 'below'));
    await writeFile(join(directory, 'below', 'file'), '');
    const store = openSqliteLocation(join(directory, 'below', 'file', 'state'), clock, { report });
    opened.push(store);
    assert.equal(store.replace('alice', [binding()]), true);
    assert.equal(store.lookup('alice').length, 1);
    assert.match(reports[0]!, /held in memory/);
  });

  test('a link in its place is not followed', async () => {
    const victim = join(directory, 'victim');
    await writeFile(victim, 'precious');
    await chmod(victim, 0o644);
    await symlink(victim, path);
    open().replace('alice', [binding()]);
    assert.equal(await readFile(victim, 'utf8'), 'precious');
    assert.equal((await stat(victim)).mode & 0o777, 0o644);
  });
});
