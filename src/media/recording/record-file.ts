import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Buffered until it is this much, or `flush`. */
const batchBytes = 65_536;

/** A file that grows by whole batches, readable by its owner alone. Throws what the system says. */
export class RecordFile {
  readonly path: string;
  readonly #file: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #length = 0;

  /** The file must not be there: what is there is nobody's to overwrite. */
  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, 'wx', 0o600);
  }

  /** With what waits. */
  get length(): number {
    return this.#length + this.#waitingBytes;
  }

  /** `bytes` are kept. */
  append(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= batchBytes) this.flush();
  }

  /** Hands over what waits: from then on it outlives this process. */
  flush(): void {
    if (this.#waitingBytes === 0) return;
    const batch = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let done = 0; done < batch.length; ) {
      const written = writeSync(this.#file, batch, done, batch.length - done, this.#length + done);
      // A disk with room for a part says the rest at the next try.
      done += written;
    }
    this.#length += batch.length;
  }

  /** Over what is there. */
  overwrite(at: number, bytes: Uint8Array): void {
    writeSync(this.#file, bytes, 0, bytes.length, at);
  }

  /** With `whole`, a record that was written in part is cut off. */
  close(whole = false): void {
    try {
      if (whole) ftruncateSync(this.#file, this.#length);
    } finally {
      closeSync(this.#file);
    }
  }
}
