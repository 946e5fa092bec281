import { setFlagsFromString } from 'node:v8';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Command, ForwarderData, Report } from './forwarder-protocol.ts';
import type { SocketSource } from './socket-source.ts';

export interface MediaThreadEvents {
  onReport(report: Report): void;
  /** The thread is gone, told to or not; `cause` is undefined where there was no error. */
  onEnd(cause: unknown): void;
}

/**
 * The launcher's --max-semi-space-size has shaped the main thread's heap by now; in a thread that starts it would
 * come before what `resourceLimits` say.
 */
setFlagsFromString('--max-semi-space-size=0');

/** One life of the media thread: commands go in, in order, reports come out, until it ends. */
export class MediaThread {
  readonly #source: SocketSource;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #exited: Promise<void>;
  #queue: Command[] = [];
  /** Resolves when the thread serves; rejects where it ended before. */
  readonly ready: Promise<void>;

  /** Throws where the descriptors that the thread waits on cannot be made. */
  constructor(source: SocketSource, memory: SharedArrayBuffer, events: MediaThreadEvents) {
    this.#source = source;
    const { port1, port2 } = new MessageChannel();
    const data: ForwarderData = { kind: source.kind, port: port2, memory, ...source.attach() };
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#port = port1;
    this.#worker = new Worker(new URL(`./forwarder-worker.${extension}`, import.meta.url), {
      name: 'media',
      workerData: data,
      transferList: [port2],
      env: {},
      execArgv: [],
      // koffi's pump allocates nothing; dgram's makes two objects a packet.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
    });
    const ready = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#exited = exited.promise;
    port1.on('message', (report: Report) => {
      if (report[0] === 'ready') {
        // Open sockets are no reason for the process to live on: the agent's listeners are.
        this.keepAlive(false);
        this.#worker.unref();
        ready.resolve();
      } else events.onReport(report);
    });
    let cause: unknown;
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#worker.on('exit', () => {
      port1.close();
      process.off('exit', this.#onProcessExit);
      ready.reject(cause ?? new Error('the media thread ended before it was ready'));
      exited.resolve();
      events.onEnd(cause);
    });
    process.once('exit', this.#onProcessExit);
  }

  /** Commands of one turn travel together: one message, one wake. */
  tell(command: Command): void {
    if (this.#queue.length === 0) queueMicrotask(() => this.deliver());
    this.#queue.push(command);
  }

  /** Hands over at once what was told: whatever is sent after this finds the thread informed. */
  deliver(): void {
    if (this.#queue.length === 0) return;
    const commands = this.#queue;
    this.#queue = [];
    this.#port.postMessage(commands);
    this.#source.wake();
  }

  /** Whether the process waits for reports. */
  keepAlive(wanted: boolean): void {
    if (wanted) this.#port.ref();
    else this.#port.unref();
  }

  /** Lets the thread finish what it was told, and resolves when it is gone. */
  async stop(): Promise<void> {
    this.#worker.ref();
    this.tell(['stop']);
    await this.#exited;
  }

  /** Ends the thread as a crash would. */
  async crash(): Promise<void> {
    this.#worker.ref();
    void this.#worker.terminate();
    this.#source.wake();
    await this.#exited;
  }

  /** The thread sits in a system call: without this the end of the process waits for its next packet. */
  readonly #onProcessExit = (): void => {
    this.#port.postMessage([['stop']] satisfies Command[]);
    this.#source.wake();
  };
}
