import type { Endpoint } from '../net/address.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Command, Report } from './forwarder-protocol.ts';
import { latchBit } from './latch.ts';
import type { ForwarderKind } from './media-contract.ts';
import type { MediaLog } from './media-log.ts';
import { MediaThread } from './media-thread.ts';
import type { PacketKinds } from './rtp-statistics.ts';
import { SlotLinks } from './slot-links.ts';
import { maxSlots, type SlotCounters, SlotTable } from './slot-table.ts';
import type { SocketSource } from './socket-source.ts';
import { quality, type StreamQuality } from './stream-quality.ts';
import type { IceCredentials } from './stun.ts';
import { PacketRing } from './tap/packet-ring.ts';

/** All that is needed to open a socket again in a new forwarder. */
interface Channel {
  readonly slot: number;
  fd: number;
  address: string;
  readonly port: number;
  kinds: PacketKinds | undefined;
  ice: IceCredentials | undefined;
  /** Of `latchBit`: aimed, learning, muted, rtp, checked. */
  flags: number;
  signalling: string | undefined;
  beside: number;
  /** The payload types that are copied, all of them where empty; undefined where nothing is. */
  tapped: readonly number[] | undefined;
  closing: Closing | undefined;
}

/** A socket that its slot has left, until the thread has let go of it. */
interface Former {
  readonly slot: number;
  readonly fd: number;
  readonly left: () => void;
}

/** Sockets that are closed together: their slots, and what was counted there, stay until the last of them is. */
interface Closing {
  readonly slots: readonly number[];
  waiting: number;
  readonly released: () => void;
}

export interface ForwarderTotals {
  /** Open at the moment. */
  readonly sockets: number;
  readonly packets: number;
  readonly bytes: number;
  readonly strangers: number;
  readonly undeliverable: number;
  readonly kernelPackets: number;
}

/** A forwarder that died less than this ago is not started again at once. */
const calmMs = 1000;

/**
 * The main thread's side of the media thread. Sockets are opened here and known by slot numbers; all calls
 * return at once, what they ask for is done in order within a moment. When the media thread ends by itself
 * another one takes over the same sockets.
 */
export class Forwarder {
  readonly kind: ForwarderKind;
  readonly #source: SocketSource;
  readonly #clock: Clock;
  readonly #log: MediaLog;
  readonly #table = new SlotTable();
  /** Where packets that arrive at a slot leave, and where RTCP does that comes beside RTP, if elsewhere. */
  readonly #peers = new SlotLinks();
  readonly #rtcpPeers = new SlotLinks();
  readonly #channels: (Channel | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #retired = { sockets: 0, packets: 0, bytes: 0, strangers: 0, undeliverable: 0, kernelPackets: 0 };
  /** In the order in which the thread was told. */
  readonly #former: Former[] = [];
  readonly #tickets = new Map<number, () => void>();
  #lastTicket = 0;
  #thread: MediaThread | undefined;
  #startedAt = 0;
  #wasReady = false;
  #restarts = 0;
  #restartTimer: Timer | undefined;
  #closing = false;
  #ring: PacketRing | undefined;
  /** The thread of now has the ring. */
  #ringTold = false;

  constructor(source: SocketSource, clock: Clock, log: MediaLog) {
    this.kind = source.forwarder;
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
    const thread = new MediaThread(this.#source, this.#table.memory, {
      onReport: (report) => this.#take(report),
      onEnd: (cause) => this.#ended(cause),
    });
    this.#thread = thread;
    this.#startedAt = this.#clock.now();
    await thread.ready;
    this.#wasReady = true;
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
      kinds: undefined,
      ice: undefined,
      flags: latchBit.rtp,
      signalling: undefined,
      beside: -1,
      tapped: undefined,
      closing: undefined,
    };
    this.#tell(['open', slot, fd, address, port]);
    return slot;
  }

  /**
   * Slots go on at `port` and those that follow of another address, with all that they know and have counted. False
   * where a port cannot be bound; nothing has changed then. `left` is called once the ports of before are free.
   */
  rebind(slots: readonly number[], address: string, port: number, left: () => void): boolean {
    const fds: number[] = [];
    for (let n = 0; n < slots.length; n++) {
      const fd = this.#source.bind(address, port + n);
      if (typeof fd === 'string') {
        for (const bound of fds) if (bound >= 0) this.#source.close(bound);
        return false;
      }
      fds.push(fd);
    }
    let waiting = slots.length;
    slots.forEach((slot, n) => {
      const channel = this.#at(slot);
      this.#former.push({ slot, fd: channel.fd, left: () => --waiting === 0 && left() });
      channel.fd = fds[n]!;
      channel.address = address;
      this.#tell(['rebind', slot, channel.fd, address, port + n]);
    });
    if (!this.#thread) this.#leaveFormer();
    return true;
  }

  #leaveFormer(slot?: number): void {
    const at = slot === undefined ? 0 : this.#former.findIndex((former) => former.slot === slot);
    if (at < 0) return;
    const gone = slot === undefined ? this.#former.splice(0) : this.#former.splice(at, 1);
    for (const { fd, left } of gone) {
      if (fd >= 0) this.#source.close(fd);
      left();
    }
  }

  /** Packets that arrive at `slot` leave from `peer` from now on; from -1 they go nowhere. */
  link(slot: number, peer: number): void {
    if (this.#peers.get(slot) === peer) return;
    this.#peers.set(slot, peer);
    this.#tell(['link', slot, peer]);
  }

  /** RTCP that arrives at `slot` beside RTP leaves from `peer`; with -1 from where all else leaves (RFC 5761). */
  split(slot: number, peer: number): void {
    if (this.#rtcpPeers.get(slot) === peer) return;
    this.#rtcpPeers.set(slot, peer);
    this.#tell(['split', slot, peer]);
  }

  /** What the SDP says of the packets, for the numbers. */
  setKinds(slot: number, kinds: PacketKinds): void {
    const channel = this.#at(slot);
    if (channel.kinds === kinds) return;
    channel.kinds = kinds;
    this.#tell(['kinds', slot, kinds]);
  }

  /** Connectivity checks are answered from now on; with `checked` nothing else makes a source the remote. */
  setIce(slot: number, ice: IceCredentials | undefined, checked: boolean): void {
    const channel = this.#at(slot);
    if (channel.ice === ice && has(channel, latchBit.checked) === checked) return;
    channel.ice = ice;
    mark(channel, latchBit.checked, checked);
    this.#tell(['ice', slot, ice, checked]);
  }

  /**
   * The SDP names a new remote, or one that has to be learned. Opens the learning window. `rtp` is false for
   * other things over UDP, such as T.38. `signalling` is where the side's SIP comes from, `beside` the slot of
   * the RTP that this is the RTCP of.
   */
  aim(
    slot: number,
    remote: Endpoint | 'learn',
    rtp: boolean,
    signalling: string | undefined,
    beside = -1,
  ): void {
    const channel = this.#at(slot);
    mark(channel, latchBit.aimed | latchBit.learning, true);
    mark(channel, latchBit.rtp, rtp);
    const { address, port } = remote === 'learn' ? { address: '', port: 0 } : remote;
    channel.signalling = signalling;
    channel.beside = beside;
    this.#tell(['aim', slot, address, port, rtp, signalling, beside]);
  }

  /** Nothing is sent to the remote while it is muted. */
  mute(slot: number, muted: boolean): void {
    const channel = this.#at(slot);
    if (has(channel, latchBit.muted) === muted) return;
    mark(channel, latchBit.muted, muted);
    this.#tell(['mute', slot, muted]);
  }

  /**
   * Packets that arrive here are copied to the ring, those of the payload types or all where none is named; the
   * kernel does not forward them by itself meanwhile. Undefined ends it.
   */
  tap(slot: number, types: readonly number[] | undefined): void {
    const channel = this.#at(slot);
    if (channel.tapped?.join() === types?.join()) return;
    channel.tapped = types;
    if (types && !this.#ringTold) this.#tell(['ring', this.ring.memory]);
    if (types) this.#ringTold = true;
    this.#tell(['tap', slot, types]);
  }

  /** Where copies of packets lie; made once somebody asks. */
  get ring(): PacketRing {
    this.#ring ??= new PacketRing();
    return this.#ring;
  }

  /** Tells this owner of the slot from others. */
  generation(slot: number): number {
    return this.#table.generation(slot);
  }

  /** Closes the learning window. */
  seal(slot: number): void {
    mark(this.#at(slot), latchBit.learning, false);
    this.#tell(['seal', slot]);
  }

  /** `released` is called once the ports can be bound again, while the last counters can still be read. */
  close(slots: readonly number[], released: () => void): void {
    const closing = { slots, waiting: slots.length, released };
    for (const slot of slots) {
      this.#at(slot).closing = closing;
      this.#unlink(slot);
      this.#tell(['close', slot]);
    }
    if (!this.#thread) this.#release(closing);
  }

  #unlink(slot: number): void {
    for (let at = this.#peers.firstInto(slot); at >= 0; at = this.#peers.firstInto(slot)) this.link(at, -1);
    for (let at = this.#rtcpPeers.firstInto(slot); at >= 0; at = this.#rtcpPeers.firstInto(slot))
      this.split(at, -1);
    this.link(slot, -1);
    this.split(slot, -1);
  }

  counters(slot: number): SlotCounters {
    return this.#table.counters(slot);
  }

  /** What the packets of a pair of sockets told of their stream. */
  /** The usual payload type of a slot's packets; -1 before the first, or where nobody looks. */
  payloadType(rtp: number): number {
    return this.#table.values[this.#table.base(rtp) + quality.payloadType]!;
  }

  quality(rtp: number, rtcp: number): StreamQuality | undefined {
    return this.#table.quality(rtp, rtcp);
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

  /**
   * Hands over at once what was asked for. A message that leaves afterwards is answered with packets that find
   * everything in place, however busy the two threads are.
   */
  deliver(): void {
    this.#thread?.deliver();
  }

  /** Resolves when all that was asked for so far is done. */
  flush(): Promise<void> {
    if (!this.#thread) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ticket = ++this.#lastTicket;
    this.#tickets.set(ticket, resolve);
    this.#thread.keepAlive(true);
    this.#thread.tell(['sync', ticket]);
    return promise;
  }

  /** Ends the media thread and closes what is still open. */
  async stop(): Promise<void> {
    this.#closing = true;
    if (this.#restartTimer) this.#clock.cancel(this.#restartTimer);
    await this.#thread?.stop();
    this.#leaveFormer();
    for (const channel of this.#channels) {
      if (channel)
        this.#release(channel.closing ?? { slots: [channel.slot], waiting: 0, released: () => {} });
    }
    this.#source.detach();
  }

  /** Ends the media thread as a crash would; resolves when it is gone and the next one is starting. */
  async crash(): Promise<void> {
    await this.#thread?.crash();
  }

  #at(slot: number): Channel {
    const channel = this.#channels[slot];
    if (!channel) throw new RangeError(`no socket in slot ${slot}`);
    return channel;
  }

  #tell(command: Command): void {
    this.#thread?.tell(command);
  }

  #take(report: Report): void {
    switch (report[0]) {
      case 'closed': {
        const closing = this.#channels[report[1]]?.closing;
        if (closing && --closing.waiting === 0) this.#release(closing);
        break;
      }
      case 'rebound':
        this.#leaveFormer(report[1]);
        break;
      case 'lost': {
        const channel = this.#channels[report[1]];
        if (!channel) break;
        this.#log.warn(`media socket ${channel.address}:${channel.port} was lost: ${report[2]}`);
        break;
      }
      case 'kernel':
        this.#log.warn(report[1]);
        break;
      case 'done': {
        const resolve = this.#tickets.get(report[1]);
        this.#tickets.delete(report[1]);
        if (this.#tickets.size === 0) this.#thread?.keepAlive(false);
        resolve?.();
        break;
      }
    }
  }

  #release({ slots, released }: Closing): void {
    for (const slot of slots) {
      const { fd } = this.#at(slot);
      if (fd >= 0) this.#source.close(fd);
      addCounters(this.#retired, this.#table.counters(slot));
      this.#channels[slot] = undefined;
    }
    released();
    this.#freeSlots.push(...slots);
  }

  #ended(cause: unknown): void {
    this.#thread = undefined;
    for (const resolve of this.#tickets.values()) resolve();
    this.#tickets.clear();
    if (this.#closing || !this.#wasReady) return;
    this.#log.warn(`the media thread ended (${cause ?? 'no error'}) and is started again`);
    this.#leaveFormer();
    for (const channel of this.#channels) if (channel?.closing) this.#release(channel.closing);
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
      if (!this.#thread && !this.#closing) this.#restartLater();
    });
    const live = this.#channels.filter((channel) => channel !== undefined);
    if (this.#ringTold) this.#tell(['ring', this.ring.memory]);
    for (const { slot, fd, address, port } of live) this.#tell(['open', slot, fd, address, port]);
    for (const channel of live) {
      const { slot, signalling, beside, kinds, ice, tapped } = channel;
      const [rtp, aimed] = [has(channel, latchBit.rtp), has(channel, latchBit.aimed)];
      const [peer, rtcpPeer] = [this.#peers.get(slot), this.#rtcpPeers.get(slot)];
      // What was learned stands in the shared memory, which outlives the thread.
      const remote = this.#table.remote(slot);
      if (remote) this.#tell(['aim', slot, remote.address, remote.port, rtp, signalling, beside]);
      else if (aimed) this.#tell(['aim', slot, '', 0, rtp, signalling, beside]);
      if (!has(channel, latchBit.learning)) this.#tell(['seal', slot]);
      if (has(channel, latchBit.muted)) this.#tell(['mute', slot, true]);
      if (kinds) this.#tell(['kinds', slot, kinds]);
      if (ice) this.#tell(['ice', slot, ice, has(channel, latchBit.checked)]);
      if (tapped) this.#tell(['tap', slot, tapped]);
      if (peer >= 0) this.#tell(['link', slot, peer]);
      if (rtcpPeer >= 0) this.#tell(['split', slot, rtcpPeer]);
    }
  }
}

function has(channel: Channel, bits: number): boolean {
  return (channel.flags & bits) !== 0;
}

function mark(channel: Channel, bits: number, set: boolean): void {
  channel.flags = set ? channel.flags | bits : channel.flags & ~bits;
}

function addCounters(
  totals: { -readonly [K in keyof ForwarderTotals]: ForwarderTotals[K] },
  counters: SlotCounters,
): void {
  totals.packets += counters.packets;
  totals.bytes += counters.bytes;
  totals.strangers += counters.strangers;
  totals.undeliverable += counters.undeliverable;
  totals.kernelPackets += counters.kernelPackets;
}
