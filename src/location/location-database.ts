import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Binding } from './binding.ts';

const schema = `
  CREATE TABLE IF NOT EXISTS binding (
    aor TEXT NOT NULL,
    contact TEXT NOT NULL,
    params TEXT NOT NULL,
    q INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    received_address TEXT NOT NULL,
    received_port INTEGER NOT NULL,
    listener TEXT NOT NULL,
    path TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    PRIMARY KEY (aor, contact)
  ) STRICT, WITHOUT ROWID`;

const upsert = `
  INSERT OR REPLACE INTO binding (aor, contact, params, q, expires_at, call_id, cseq, received_address,
    received_port, listener, path, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** Bindings in an SQLite file. Everything here may throw: a full disk, a read-only one, a broken file. */
export class LocationDatabase {
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteAll: StatementSync;

  /** `maxPages` bounds the file, in pages of 4096 bytes; writing beyond it fails as on a full disk. */
  constructor(path: string, maxPages?: number) {
    this.#database = new DatabaseSync(path, { timeout: 1000 });
    try {
      // A commit is in the page cache of the system when it returns: it survives the end of the process. Only a
      // loss of power may take the last ones, and phones register anew (synchronous = NORMAL).
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
      this.#database.exec(schema);
      if (maxPages !== undefined) this.#database.exec(`PRAGMA max_page_count = ${maxPages}`);
      // From here on waiting for another process would hold calls up: what cannot be written now is written later.
      this.#database.exec('PRAGMA busy_timeout = 0');
      this.#upsert = this.#database.prepare(upsert);
      this.#delete = this.#database.prepare('DELETE FROM binding WHERE aor = ? AND contact = ?');
      this.#deleteAll = this.#database.prepare('DELETE FROM binding WHERE aor = ?');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** The bindings that are valid at `now`, those of one address of record together. */
  *load(now: number): IterableIterator<Binding> {
    try {
      this.#database.prepare('DELETE FROM binding WHERE expires_at <= ?').run(now);
    } catch {
      // A full disk can still be read; what has expired goes the next time.
    }
    const valid = this.#database.prepare('SELECT * FROM binding WHERE expires_at > ? ORDER BY aor');
    for (const row of valid.iterate(now)) yield fromRow(row);
  }

  /** Writes the difference between two lists of one address of record, in one transaction. */
  change(aor: string, before: readonly Binding[], after: readonly Binding[]): void {
    const contacts = new Set(after.map((binding) => binding.contact));
    const known = new Set(before);
    this.#transaction(() => {
      for (const binding of before)
        if (!contacts.has(binding.contact)) this.#delete.run(aor, binding.contact);
      for (const binding of after) if (!known.has(binding)) this.#write(binding);
    });
  }

  /** Writes everything that these addresses of record have now, whatever stood there, in one transaction. */
  rewrite(aors: readonly string[], bindingsOf: (aor: string) => readonly Binding[]): void {
    this.#transaction(() => {
      for (const aor of aors) {
        this.#deleteAll.run(aor);
        for (const binding of bindingsOf(aor)) this.#write(binding);
      }
    });
  }

  remove(bindings: readonly Binding[]): void {
    this.#transaction(() => {
      for (const binding of bindings) this.#delete.run(binding.aor, binding.contact);
    });
  }

  close(): void {
    this.#database.close();
  }

  #write(binding: Binding): void {
    this.#upsert.run(
      binding.aor,
      binding.contact,
      binding.params,
      binding.q,
      binding.expiresAt,
      binding.callId,
      binding.cseq,
      binding.received.address,
      binding.received.port,
      binding.listener,
      JSON.stringify(binding.path),
      binding.userAgent,
    );
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk has already rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

function fromRow(row: Record<string, unknown>): Binding {
  return {
    aor: row['aor'] as string,
    contact: row['contact'] as string,
    params: row['params'] as string,
    q: row['q'] as number,
    expiresAt: row['expires_at'] as number,
    callId: row['call_id'] as string,
    cseq: row['cseq'] as number,
    received: { address: row['received_address'] as string, port: row['received_port'] as number },
    listener: row['listener'] as string,
    path: JSON.parse(row['path'] as string) as string[],
    userAgent: row['user_agent'] as string,
  };
}
