import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { MediaLog } from '../media-log.ts';
import type { PacketRing } from './packet-ring.ts';
import type { TapCommand, TapData, TapMessage, TapReport } from './tap-protocol.ts';

/** SIP of recorded calls that waits while the disk stands still; more is left out of the captures. */
const maxMessageBytes = 16_777_216;

/** What a call hears of its packets. */
export interface TapListener {
  report(report: TapReport): void;
  /** The thread has died: nothing of this call is looked at any more. */
  lost(): void;
}

/** The main thread's side of the thread that records and listens for digits. It starts when it is first needed. */
export class TapThread {
  readonly #ring: PacketRing;
  readonly #log: MediaLog;
  readonly #listeners = new Map<number, TapListener>();
  readonly #tickets = new Map<number, () => void>();
  #calls = 0;
  #lastTicket = 0;
  #messageBytes = 0;
  #worker: Worker | undefined;
  #port: MessagePort | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(ring: PacketRing, log: MediaLog) {
    this.#ring = ring;
    this.#log = log;
  }

  /** A call to look at; gives its number. */
  begin(listener: TapListener): number {
    const call = ++this.#calls;
    if (!this.#worker) this.#start();
    this.#listeners.set(call, listener);
    this.tell(['begin', call]);
    return call;
  }

  tell(command: TapCommand): void {
    if (command[0] === 'message') {
      const bytes = command[5].length;
      if (this.#messageBytes + bytes > maxMessageBytes) return;
      this.#messageBytes += bytes;
    }
    this.#port?.postMessage([this.#ring.head, command] satisfies TapMessage);
  }

  /** Resolves when the files of the call are whole. */
  async end(call: number): Promise<void> {
    this.tell(['end', call]);
    await this.#sync();
    this.#listeners.delete(call);
  }

  /** Writes what is there and ends the thread. */
  async stop(): Promise<void> {
    this.#worker?.ref();
    this.tell(['stop']);
    await this.#exited;
  }

  #sync(): Promise<void> {
    if (!this.#port) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ticket = ++this.#lastTicket;
    this.#tickets.set(ticket, resolve);
    this.#port.ref();
    this.tell(['sync', ticket]);
    return promise;
  }

  #start(): void {
    const { port1, port2 } = new MessageChannel();
    const data: TapData = { port: port2, ring: this.#ring.memory };
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./tap-worker.${extension}`, import.meta.url), {
      name: 'tap',
      workerData: data,
      transferList: [port2],
      env: {},
      execArgv: [],
      // 10,000 recorded calls, some 20 KB each beside what lies outside of the heap; the most, not what it takes.
      resourceLimits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 16, stackSizeMb: 1 },
    });
    worker.unref();
    port1.on('message', (report: TapReport) => this.#take(report));
    port1.unref();
    const exited = Promise.withResolvers<void>();
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      port1.close();
      this.#worker = undefined;
      this.#port = undefined;
      this.#messageBytes = 0;
      this.#lost(cause);
      exited.resolve();
    });
    this.#worker = worker;
    this.#port = port1;
    this.#exited = exited.promise;
  }

  #take(report: TapReport): void {
    if (report[0] === 'took') {
      this.#messageBytes = Math.max(0, this.#messageBytes - report[1]);
      return;
    }
    if (report[0] === 'dropped') {
      this.#log.warn(`recording is too slow: ${report[1]} packets of recorded calls are in no file`);
      return;
    }
    if (report[0] !== 'done') {
      this.#listeners.get(report[1])?.report(report);
      return;
    }
    const resolve = this.#tickets.get(report[1]);
    this.#tickets.delete(report[1]);
    if (this.#tickets.size === 0) this.#port?.unref();
    resolve?.();
  }

  /** Calls go on; the next one that asks begins with a new thread. */
  #lost(cause: unknown): void {
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const resolve of this.#tickets.values()) resolve();
    this.#tickets.clear();
    if (cause !== undefined)
      this.#log.warn(
        `the thread that records calls ended (${cause}): ${listeners.length} calls go on without it`,
      );
    for (const listener of listeners) listener.lost();
  }
}
