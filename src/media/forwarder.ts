import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Endpoint } from '../net/address.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Command, ForwarderData, Report } from './forwarder-protocol.ts';
import type { MediaLog } from './media-log.ts';
import { maxSlots, type SlotCounters, SlotTable } from './slot-table.ts';
import type { SocketSource } from './socket-source.ts';

/** All that is needed to open a socket again in a new forwarder. */
interface Channel {
  readonly slot: number;
  readonly fd: number;
  readonly address: string;
  readonly port: number;
  peer: number;
  readonly linkedBy: Set<number>;
  aimed: boolean;
  rtp: boolean;
  muted: boolean;
  sealed: boolean;
  released: (() => void) | undefined;
}

export interface ForwarderTotals {
  /** Open at the moment. */
  readonly sockets: number;
  readonly packets: number;
  readonly bytes: number;
  readonly strangers: number;
  readonly undeliverable: number;
}

/** A forwarder that died less than this ago is not started again at once. */
const calmMs = 1000;

/**
 * The main thread's side of the media thread. Sockets are opened here and known by slot numbers; all calls
 * return at once, what they ask for is done in order within a moment. When the media thread ends by itself
 * another one takes over the same sockets.
 */
export class Forwarder {
  readonly kind: 'koffi' | 'dgram';
  readonly #source: SocketSource;
  readonly #clock: Clock;
  readonly #log: MediaLog;
  readonly #table = new SlotTable();
  readonly #channels: (Channel | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #retired = { sockets: 0, packets: 0, bytes: 0, strangers: 0, undeliverable: 0 };
  readonly #tickets = new Map<number, () => void>();
  #lastTicket = 0;
  #queue: Command[] = [];
  #worker: Worker | undefined;
  #port: MessagePort | undefined;
  #startedAt = 0;
  #wasReady = false;
  #restarts = 0;
  #restartTimer: Timer | undefined;
  #closing = false;

  constructor(source: SocketSource, clock: Clock, log: MediaLog) {
    this.kind = source.kind;
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
  }

  /** How often the media thread had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Starts the media thread; rejects where it cannot come up. */
  async start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { port1, port2 } = new MessageChannel();
    const data: ForwarderData = {
      kind: this.kind,
      port: port2,
      memory: this.#table.memory,
      ...this.#source.attach(),
    };
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./forwarder-worker.${extension}`, import.meta.url), {
      name: 'media',
      workerData: data,
      transferList: [port2],
      env: {},
      execArgv: [],
      // koffi's pump allocates nothing; dgram's makes two objects a packet.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
    });
    this.#worker = worker;
    this.#port = port1;
    this.#startedAt = this.#clock.now();
    port1.on('message', (report: Report) => {
      if (report[0] === 'ready') {
        this.#wasReady = true;
        resolve();
      } else if (this.#port === port1) this.#take(report);
    });
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      port1.close();
      reject(cause ?? new Error('the media thread ended before it was ready'));
      if (this.#worker === worker) this.#ended(cause);
    });
    process.once('exit', this.#onProcessExit);
    await promise;
    // Open sockets are no reason for the process to live on: the agent's listeners are.
    worker.unref();
    port1.unref();
  }

  /** Binds a socket; gives its slot, or the name of the error (`EADDRINUSE`, `EMFILE`, …). */
  open(address: string, port: number): number | string {
    const slot = this.#freeSlots.pop() ?? this.#channels.length;
    if (slot >= maxSlots) return 'ENOBUFS';
    const fd = this.#source.bind(address, port);
    if (typeof fd === 'string') {
      if (slot < this.#channels.length) this.#freeSlots.push(slot);
      return fd;
    }
    this.#table.clear(slot);
    this.#channels[slot] = {
      slot,
      fd,
      address,
      port,
      peer: -1,
      linkedBy: new Set(),
      aimed: false,
      rtp: true,
      muted: false,
      sealed: false,
      released: undefined,
    };
    this.#tell(['open', slot, fd, address, port]);
    return slot;
  }

  /** Packets that arrive at `slot` leave from `peer` from now on; from -1 they go nowhere. */
  link(slot: number, peer: number): void {
    const channel = this.#at(slot);
    if (channel.peer === peer) return;
    if (channel.peer >= 0) this.#at(channel.peer).linkedBy.delete(slot);
    channel.peer = peer;
    if (peer >= 0) this.#at(peer).linkedBy.add(slot);
    this.#tell(['link', slot, peer]);
  }

  /**
   * The SDP names a new remote, or one that has to be learned. Opens the learning window. `rtp` is false for
   * other things over UDP, such as T.38.
   */
  aim(slot: number, remote: Endpoint | 'learn', rtp: boolean): void {
    const channel = this.#at(slot);
    channel.aimed = true;
    channel.rtp = rtp;
    channel.sealed = false;
    const { address, port } = remote === 'learn' ? { address: '', port: 0 } : remote;
    this.#tell(['aim', slot, address, port, rtp]);
  }

  /** Nothing is sent to the remote while it is muted. */
  mute(slot: number, muted: boolean): void {
    const channel = this.#at(slot);
    if (channel.muted === muted) return;
    channel.muted = muted;
    this.#tell(['mute', slot, muted]);
  }

  /** Closes the learning window. */
  seal(slot: number): void {
    this.#at(slot).sealed = true;
    this.#tell(['seal', slot]);
  }

  /** `released` is called once the port can be bound again. */
  close(slot: number, released: () => void): void {
    const channel = this.#at(slot);
    for (const other of channel.linkedBy) this.link(other, -1);
    this.link(slot, -1);
    channel.released = released;
    if (this.#worker) this.#tell(['close', slot]);
    else this.#release(channel);
  }

  counters(slot: number): SlotCounters {
    return this.#table.counters(slot);
  }

  /** Where packets to this peer go at the moment. */
  remote(slot: number): Endpoint | undefined {
    return this.#table.remote(slot);
  }

  /** Sums over all sockets that are and were. */
  totals(): ForwarderTotals {
    const totals = { ...this.#retired };
    for (const channel of this.#channels) {
      if (!channel) continue;
      totals.sockets++;
      addCounters(totals, this.#table.counters(channel.slot));
    }
    return totals;
  }

  /** Resolves when all that was asked for so far is done. */
  flush(): Promise<void> {
    if (!this.#port || !this.#worker) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ticket = ++this.#lastTicket;
    this.#tickets.set(ticket, resolve);
    this.#port.ref();
    this.#tell(['sync', ticket]);
    return promise;
  }

  /** Ends the media thread and closes what is still open. */
  async stop(): Promise<void> {
    this.#closing = true;
    if (this.#restartTimer) this.#clock.cancel(this.#restartTimer);
    const worker = this.#worker;
    if (worker) {
      worker.ref();
      const exit = new Promise((resolve) => worker.once('exit', resolve));
      this.#tell(['stop']);
      await exit;
    }
    for (const channel of this.#channels) if (channel) this.#release(channel);
    this.#source.detach();
  }

  /** Ends the media thread as a crash would; resolves when it is gone and the next one is starting. */
  async crash(): Promise<void> {
    const ended = this.#worker?.terminate();
    this.#source.wake();
    await ended;
  }

  readonly #onProcessExit = (): void => {
    // The thread sits in a system call: without this the end of the process waits for its next packet.
    this.#port?.postMessage([['stop']] satisfies Command[]);
    this.#source.wake();
  };

  #at(slot: number): Channel {
    const channel = this.#channels[slot];
    if (!channel) throw new RangeError(`no socket in slot ${slot}`);
    return channel;
  }

  /** Commands of one turn travel together: one message, one wake. */
  #tell(command: Command): void {
    if (!this.#worker) return;
    if (this.#queue.length === 0) queueMicrotask(() => this.#send());
    this.#queue.push(command);
  }

  #send(): void {
    const commands = this.#queue;
    this.#queue = [];
    if (commands.length === 0) return;
    this.#port?.postMessage(commands);
    this.#source.wake();
  }

  #take(report: Report): void {
    switch (report[0]) {
      case 'closed': {
        const channel = this.#channels[report[1]];
        if (channel) this.#release(channel);
        break;
      }
      case 'lost': {
        const channel = this.#channels[report[1]];
        if (!channel) break;
        this.#log.warn(`media socket ${channel.address}:${channel.port} was lost: ${report[2]}`);
        break;
      }
      case 'done': {
        const resolve = this.#tickets.get(report[1]);
        this.#tickets.delete(report[1]);
        if (this.#tickets.size === 0) this.#port?.unref();
        resolve?.();
        break;
      }
    }
  }

  #release(channel: Channel): void {
    if (channel.fd >= 0) this.#source.close(channel.fd);
    addCounters(this.#retired, this.#table.counters(channel.slot));
    this.#channels[channel.slot] = undefined;
    this.#freeSlots.push(channel.slot);
    channel.released?.();
  }

  #ended(cause: unknown): void {
    this.#worker = undefined;
    this.#port = undefined;
    this.#queue = [];
    process.off('exit', this.#onProcessExit);
    for (const resolve of this.#tickets.values()) resolve();
    this.#tickets.clear();
    if (this.#closing || !this.#wasReady) return;
    this.#log.warn(`the media thread ended (${cause ?? 'no error'}) and is started again`);
    for (const channel of this.#channels) if (channel?.released) this.#release(channel);
    if (this.#clock.now() - this.#startedAt >= calmMs || this.#restarts === 0) this.#restart();
    else this.#restartLater();
  }

  #restartLater(): void {
    this.#restartTimer ??= this.#clock.schedule(() => this.#restart(), calmMs);
  }

  #restart(): void {
    this.#restartTimer = undefined;
    if (this.#closing) return;
    this.#restarts++;
    this.start().catch((error: unknown) => {
      this.#log.warn(`the media thread does not start: ${error}`);
      if (!this.#worker && !this.#closing) this.#restartLater();
    });
    const live = this.#channels.filter((channel) => channel !== undefined);
    for (const { slot, fd, address, port } of live) this.#tell(['open', slot, fd, address, port]);
    for (const { slot, aimed, rtp, peer, muted, sealed } of live) {
      // What was learned stands in the shared memory, which outlives the thread.
      const remote = this.#table.remote(slot);
      if (remote) this.#tell(['aim', slot, remote.address, remote.port, rtp]);
      else if (aimed) this.#tell(['aim', slot, '', 0, rtp]);
      if (sealed || !aimed) this.#tell(['seal', slot]);
      if (muted) this.#tell(['mute', slot, true]);
      if (peer >= 0) this.#tell(['link', slot, peer]);
    }
  }
}

function addCounters(
  totals: { -readonly [K in keyof ForwarderTotals]: ForwarderTotals[K] },
  counters: SlotCounters,
): void {
  totals.packets += counters.packets;
  totals.bytes += counters.bytes;
  totals.strangers += counters.strangers;
  totals.undeliverable += counters.undeliverable;
}
