import { DatabaseSync } from 'node:sqlite';
import { type Clock, systemClock } from '../net/clock.ts';
import { preparePrivateFile, prepareStateDirectory } from '../state-directory.ts';
import { type Account, checkAccountName, checkAccountPassword, generatePassword } from './account.ts';
import { AccountError, accountExists } from './account-error.ts';

export const accountsFile = 'accounts.sqlite';

/** Who may register and call. Another process may change the accounts meanwhile: reads see it soon. */
export interface AccountStore {
  /** From memory: costs no disk access more than twice a second. */
  get(name: string): Account | undefined;
  /** By name. */
  list(): Account[];
  /** Makes a password where none is given. Throws AccountError where the name is taken or a value is unfit. */
  add(name: string, password?: string): Account;
  /** False where there was no such account. */
  remove(name: string): boolean;
  isEmpty(): boolean;
  /** Adds accounts of these names where nobody has ever added or removed one, else none. */
  addFirst(names: readonly string[]): Account[];
  close(): void;
}

export interface AccountStoreOptions {
  readonly clock?: Clock;
  /** Told when the file cannot be read any more; what was read before keeps serving. At most once a minute. */
  readonly onReadError?: (error: unknown) => void;
}

/** How long a change by another process may stay unseen. */
const recheckMs = 500;
/** The same where a name is not known yet. */
const recheckMissMs = 10;

/** Values of PRAGMA user_version: whether anybody has ever added or removed an account. */
const untouched = 1;
const touched = 2;

// Passwords are stored as they are, in a file that only its owner can read: `cloudsip user list` shows them to
// root, who has to type them into phones, and a hash of user:realm:password would be void whenever the realm
// changes. Such a hash protects no better here: whoever has it can register with it.
const schema = `
  CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`;

/**
 * Opens the accounts of a state directory, making directory and file where they are missing. Throws
 * AccountError `account.store` where the file cannot be opened or is no such store.
 */
export function openAccountStore(stateDir: string, options: AccountStoreOptions = {}): AccountStore {
  try {
    prepareStateDirectory(stateDir);
    return new SqliteAccountStore(preparePrivateFile(stateDir, accountsFile), options);
  } catch (error) {
    if (error instanceof AccountError) throw error;
    throw new AccountError(
      'account.store',
      `expected to open the accounts in ${stateDir}/${accountsFile} and got: ${(error as Error).message}; check that the directory is this user's own and that the disk is not full; a broken file can be moved away, then the accounts have to be added again`,
      { cause: error },
    );
  }
}

/** The names that a fresh installation begins with. */
const firstNames = ['alice', 'bob'];

/** Two accounts for the first call, made once in the life of a store; empty ever after. */
export function ensureFirstAccounts(store: AccountStore): Account[] {
  return store.addFirst(firstNames);
}

class SqliteAccountStore implements AccountStore {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #onReadError: (error: unknown) => void;
  #accounts: Map<string, Account> = new Map();
  #version = -1;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, options: AccountStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#onReadError = options.onReadError ?? (() => {});
    // The command and the agent may write at the same moment; either waits for the other's few milliseconds.
    this.#database = new DatabaseSync(path, { timeout: 2000 });
    try {
      // With a write-ahead log nobody who writes ever keeps the agent from reading.
      this.#database.exec('PRAGMA journal_mode = WAL');
      this.#transaction(() => {
        this.#database.exec(schema);
        if (this.#userVersion() === 0) this.#database.exec(`PRAGMA user_version = ${untouched}`);
      });
      this.#load();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  get(name: string): Account | undefined {
    this.#refresh(recheckMs);
    const known = this.#accounts.get(name);
    if (known) return known;
    // Whoever is added at this moment should not be turned away; strangers' guesses must not cost a look each.
    this.#refresh(recheckMissMs);
    return this.#accounts.get(name);
  }

  list(): Account[] {
    this.#refresh(recheckMs);
    return [...this.#accounts.values()];
  }

  isEmpty(): boolean {
    this.#refresh(recheckMs);
    return this.#accounts.size === 0;
  }

  add(name: string, password: string = generatePassword()): Account {
    checkAccountName(name);
    checkAccountPassword(password);
    const account = this.#transaction(() => {
      this.#touch();
      return this.#insert(name, password);
    });
    this.#load();
    return account;
  }

  remove(name: string): boolean {
    const removed = this.#transaction(() => {
      this.#touch();
      return this.#database.prepare('DELETE FROM account WHERE name = ?').run(name).changes > 0;
    });
    this.#load();
    return removed;
  }

  addFirst(names: readonly string[]): Account[] {
    const accounts = this.#transaction(() => {
      if (this.#userVersion() !== untouched) return [];
      this.#touch();
      return names.map((name) => this.#insert(name, generatePassword()));
    });
    this.#load();
    return accounts;
  }

  close(): void {
    this.#database.close();
  }

  #insert(name: string, password: string): Account {
    const account: Account = { name, password, createdAt: this.#clock.now() };
    const { changes } = this.#database
      .prepare('INSERT INTO account (name, password, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
      .run(name, password, account.createdAt);
    if (changes === 0) {
      throw accountExists(name);
    }
    return account;
  }

  /** Looks for changes by other processes, at most once in `everyMs`. */
  #refresh(everyMs: number): void {
    const now = this.#clock.now();
    // A clock that was set back must not blind the agent for as long.
    if (now >= this.#checkedAt && now - this.#checkedAt < everyMs) return;
    this.#checkedAt = now;
    try {
      if (this.#dataVersion() !== this.#version) this.#load();
    } catch (error) {
      if (now >= this.#toldAt && now - this.#toldAt < 60_000) return;
      this.#toldAt = now;
      this.#onReadError(error);
    }
  }

  #load(): void {
    // Asked before reading: a change in between is seen the next time.
    const version = this.#dataVersion();
    const accounts = new Map<string, Account>();
    for (const row of this.#database
      .prepare('SELECT name, password, created_at FROM account ORDER BY name')
      .iterate()) {
      const name = row['name'] as string;
      accounts.set(name, {
        name,
        password: row['password'] as string,
        createdAt: row['created_at'] as number,
      });
    }
    this.#accounts = accounts;
    this.#version = version;
  }

  #touch(): void {
    this.#database.exec(`PRAGMA user_version = ${touched}`);
  }

  #userVersion(): number {
    return this.#pragma('user_version');
  }

  /** Changes when another connection commits, not when this one does. */
  #dataVersion(): number {
    return this.#pragma('data_version');
  }

  #pragma(name: string): number {
    return this.#database.prepare(`PRAGMA ${name}`).get()![name] as number;
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk has already rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
