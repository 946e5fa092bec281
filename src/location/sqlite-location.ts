import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../net/clock.ts';
import { preparePrivateFile, prepareStateDirectory } from '../state-directory.ts';
import type { Binding } from './binding.ts';
import { LocationDatabase } from './location-database.ts';
import { type LocationStore, mostBindings } from './location-store.ts';
import { MemoryLocation } from './memory-location.ts';

export const locationFile = 'location.sqlite';

/** What the store needs of the file below it. */
export interface BindingTable {
  load(now: number): Iterable<Binding>;
  change(aor: string, before: readonly Binding[], after: readonly Binding[]): void;
  rewrite(aors: readonly string[], bindingsOf: (aor: string) => readonly Binding[]): void;
  remove(bindings: readonly Binding[]): void;
  close(): void;
}

export interface SqliteLocationOptions {
  /** Bound on all bindings together; default 1,000,000. */
  readonly mostBindings?: number;
  /** Told in a sentence what is wrong with the file and when it is well again; at most once a minute. */
  readonly report?: (sentence: string, error?: unknown) => void;
}

/** How long to wait before writing again what could not be written, and how much of it at a time. */
const retryMs = 5000;
const retryBatch = 1000;
const reportEveryMs = 60_000;

/**
 * Opens the bindings of a state directory. Registrations come back by themselves within an hour, so nothing that
 * is wrong with the file keeps the agent from serving: a broken one is put aside as `location.sqlite.broken`, and
 * where none can be opened the bindings live in memory. Never throws.
 */
export function openSqliteLocation(
  stateDir: string,
  clock: Clock,
  options: SqliteLocationOptions = {},
): LocationStore {
  const path = join(stateDir, locationFile);
  const open = (): SqliteLocation => {
    prepareStateDirectory(stateDir);
    preparePrivateFile(stateDir, locationFile);
    return new SqliteLocation(new LocationDatabase(path), clock, options);
  };
  try {
    return open();
  } catch (first) {
    try {
      if (isBroken(first)) {
        renameSync(path, `${path}.broken`);
        for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
        const store = open();
        options.report?.(
          `${path} is not a readable database: it was moved to ${path}.broken; phones are found again when they register anew`,
          first,
        );
        return store;
      }
    } catch {
      // Falls to memory below; what went wrong first says more.
    }
    options.report?.(
      `cannot keep registrations in ${path}: they are held in memory and lost at the next restart; check that the directory can be written to`,
      first,
    );
    return new MemoryLocation(clock, options);
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, and a table of another shape (SQLITE_ERROR). */
function isBroken(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && [1, 11, 26].includes(code & 0xff);
}

/** Bindings in memory, written through to a file before `replace` returns, so that a 200 outlives the process. */
export class SqliteLocation implements LocationStore {
  readonly #memory: MemoryLocation;
  readonly #table: BindingTable;
  readonly #clock: Clock;
  readonly #report: (sentence: string, error?: unknown) => void;
  /** Addresses of record whose rows in the file are behind. */
  readonly #dirty: Set<string> = new Set();
  #retry: Timer | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #reportedFailure = false;

  /** Owns `table` from here on. Throws what loading throws, with the table closed. */
  constructor(table: BindingTable, clock: Clock, options: SqliteLocationOptions = {}) {
    this.#table = table;
    this.#clock = clock;
    this.#report = options.report ?? (() => {});
    this.#memory = new MemoryLocation(clock, {
      mostBindings: options.mostBindings ?? mostBindings,
      onPurge: (bindings) => this.#remove(bindings),
    });
    try {
      this.#load();
    } catch (error) {
      this.#memory.close();
      table.close();
      throw error;
    }
  }

  get size(): number {
    return this.#memory.size;
  }

  /** How many addresses of record wait to be written. */
  get unwritten(): number {
    return this.#dirty.size;
  }

  lookup(aor: string): readonly Binding[] {
    return this.#memory.lookup(aor);
  }

  replace(aor: string, bindings: readonly Binding[]): boolean {
    const before = this.#memory.held(aor);
    if (!this.#memory.replace(aor, bindings)) return false;
    this.#write([aor], () => this.#table.change(aor, before, bindings));
    return true;
  }

  bindings(): IterableIterator<Binding> {
    return this.#memory.bindings();
  }

  close(): void {
    if (this.#retry) this.#clock.cancel(this.#retry);
    this.#memory.close();
    try {
      if (this.#dirty.size > 0) this.#table.rewrite([...this.#dirty], (aor) => this.#memory.held(aor));
    } catch (error) {
      this.#report(`${this.#dirty.size} registrations could not be written before the end`, error);
    }
    this.#table.close();
  }

  #load(): void {
    let aor: string | undefined;
    let bindings: Binding[] = [];
    for (const binding of this.#table.load(this.#clock.now())) {
      if (aor !== undefined && binding.aor !== aor) {
        this.#memory.replace(aor, bindings);
        bindings = [];
      }
      aor = binding.aor;
      bindings.push(binding);
    }
    if (aor !== undefined) this.#memory.replace(aor, bindings);
  }

  #remove(bindings: readonly Binding[]): void {
    this.#write(
      bindings.map((binding) => binding.aor),
      () => this.#table.remove(bindings),
    );
  }

  /** Writes now, or notes that these are to be written later. */
  #write(aors: readonly string[], work: () => void): void {
    // While the file fails, trying at each REGISTER would only cost: the timer tries for all.
    if (this.#retry === undefined) {
      try {
        work();
        return;
      } catch (error) {
        this.#failed(error);
      }
    }
    for (const aor of aors) this.#dirty.add(aor);
  }

  #failed(error: unknown): void {
    this.#retry = this.#clock.schedule(() => this.#writeDirty(), retryMs);
    const now = this.#clock.now();
    if (now - this.#reportedAt < reportEveryMs) return;
    this.#reportedAt = now;
    this.#reportedFailure = true;
    this.#report(
      `registrations cannot be written to the disk and are held in memory until they can: ${(error as Error).message}; make room on the disk or make it writable`,
      error,
    );
  }

  #writeDirty(): void {
    this.#retry = undefined;
    const batch: string[] = [];
    for (const aor of this.#dirty) {
      if (batch.length === retryBatch) break;
      batch.push(aor);
    }
    try {
      this.#table.rewrite(batch, (aor) => this.#memory.held(aor));
    } catch (error) {
      this.#failed(error);
      return;
    }
    for (const aor of batch) this.#dirty.delete(aor);
    if (this.#dirty.size > 0) {
      // The next batch at once, but after whatever waits meanwhile.
      this.#retry = this.#clock.schedule(() => this.#writeDirty(), 0);
      return;
    }
    if (!this.#reportedFailure) return;
    this.#reportedFailure = false;
    this.#report('registrations are written to the disk again');
  }
}
