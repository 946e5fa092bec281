import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { checkAccountName } from '../account/account.ts';
import { AccountError, accountExists } from '../account/account-error.ts';
import { type AccountStore, accountsFile, openAccountStore } from '../account/account-store.ts';
import { CloudsipError } from '../error.ts';
import { type Input, readPassword } from './read-password.ts';

export interface UserCommandIo {
  readonly stdin: Input;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly stateDir: string;
  /** The effective user; default that of the process. */
  readonly uid?: number;
}

const usage = `Usage:
  cloudsip user add NAME        add an account; the password is read from standard input,
                                asked for at a terminal, or made up where none is given
  cloudsip user remove NAME     remove an account
  cloudsip user list [--json]   show the accounts with their passwords
`;

/** `cloudsip user …`. Returns the exit code: 0 done, 1 not possible (told on stderr), 2 used wrongly. */
export async function runUserCommand(args: readonly string[], io: UserCommandIo): Promise<number> {
  const [action, ...rest] = args;
  if (action === 'help' || args.includes('--help') || args.includes('-h')) {
    io.stdout.write(usage);
    return 0;
  }
  try {
    switch (action) {
      case 'add':
        if (rest.length === 2) return misused(io, addHint);
        return rest.length === 1 ? await addUser(rest[0]!, io) : misused(io);
      case 'remove':
        return rest.length === 1 ? removeUser(rest[0]!, io) : misused(io);
      case 'list':
        if (rest.length === 0) return listUsers(io, false);
        return rest.length === 1 && rest[0] === '--json' ? listUsers(io, true) : misused(io);
      default:
        return misused(io);
    }
  } catch (error) {
    if (!(error instanceof CloudsipError)) throw error;
    io.stderr.write(`cloudsip: ${error.message}\n`);
    return 1;
  }
}

const addHint =
  'expected one name; a password does not go on the command line, where every user of the machine can see it: pipe it in, or type it when asked';

async function addUser(name: string, io: UserCommandIo): Promise<number> {
  checkAccountName(name);
  checkOwner(io);
  using store = opened(io);
  // Before anybody types a password for nothing.
  if (store.accounts.get(name)) throw accountExists(name);
  const password = await readPassword(io.stdin, `Password for ${name} (empty: make one up): `, io.stderr);
  const account = store.accounts.add(name, password);
  io.stdout.write(
    password === undefined
      ? `Added ${name} with the password ${account.password}\n`
      : `Added ${name} with the password that was given\n`,
  );
  return 0;
}

function removeUser(name: string, io: UserCommandIo): number {
  checkOwner(io);
  if (hasAccounts(io)) {
    using store = opened(io);
    if (store.accounts.remove(name)) {
      io.stdout.write(`Removed ${name}\n`);
      return 0;
    }
  }
  throw new AccountError(
    'account.unknown',
    `expected the name of an account and ${JSON.stringify(name)} is none in ${io.stateDir}; see: cloudsip user list`,
  );
}

function listUsers(io: UserCommandIo, json: boolean): number {
  checkOwner(io);
  const accounts = hasAccounts(io) ? listed(io) : [];
  if (json) {
    const shown = accounts.map(({ name, password, createdAt }) => ({
      name,
      password,
      created: new Date(createdAt).toISOString(),
    }));
    io.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    return 0;
  }
  if (accounts.length === 0) {
    io.stderr.write(`No accounts in ${io.stateDir}; add one with: cloudsip user add NAME\n`);
    return 0;
  }
  const width = Math.max(4, ...accounts.map(({ name }) => name.length));
  io.stdout.write(`${'NAME'.padEnd(width)}  PASSWORD\n`);
  for (const { name, password } of accounts) io.stdout.write(`${name.padEnd(width)}  ${password}\n`);
  return 0;
}

function listed(io: UserCommandIo): ReturnType<AccountStore['list']> {
  using store = opened(io);
  return store.accounts.list();
}

function opened(io: UserCommandIo): Disposable & { readonly accounts: AccountStore } {
  const accounts = openAccountStore(io.stateDir);
  return { accounts, [Symbol.dispose]: () => accounts.close() };
}

/** Only looking must not make a store. */
function hasAccounts(io: UserCommandIo): boolean {
  return existsSync(join(io.stateDir, accountsFile));
}

/** Passwords are for root and for the user that the agent runs as, who owns the state directory. */
function checkOwner(io: UserCommandIo): void {
  const uid = io.uid ?? process.geteuid?.() ?? 0;
  if (uid === 0) return;
  const owner = statSync(io.stateDir, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || owner === uid) return;
  throw new AccountError(
    'account.not-owner',
    `expected root or the owner of ${io.stateDir} (user ${owner}) and this is user ${uid}; run it again with sudo`,
  );
}

function misused(io: UserCommandIo, hint?: string): number {
  if (hint !== undefined) io.stderr.write(`cloudsip: ${hint}\n`);
  io.stderr.write(usage);
  return 2;
}
