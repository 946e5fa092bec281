import type { Endpoint } from '../net/address.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Command, Report } from './forwarder-protocol.ts';
import { latchBit } from './latch.ts';
import type { ForwarderKind } from './media-contract.ts';
import type { MediaLog } from './media-log.ts';
import { MediaThread } from './media-thread.ts';
import type { PacketKinds } from './rtp-statistics.ts';
import { SlotLinks } from './slot-links.ts';
import { SlotSockets } from './slot-sockets.ts';
import { counter, maxSlots, type SlotCounters, SlotTable } from './slot-table.ts';
import type { SocketSource } from './socket-source.ts';
import { quality, type StreamQuality } from './stream-quality.ts';
import type { IceCredentials } from './stun.ts';
import { PacketRing } from './tap/packet-ring.ts';

/** A socket that its slot has left, until the thread has let go of it. */
interface Former {
  readonly slot: number;
  /** Undefined where there is none to close, or none any more. */
  fd: number | undefined;
  readonly address: string;
  readonly left: () => void;
}

const nothing = (): void => {};

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
  /** What packets leave with of sockets that are opened from now on; 0 for what they came with. */
  dscp = 0;
  readonly #source: SocketSource;
  readonly #clock: Clock;
  readonly #log: MediaLog;
  readonly #table = new SlotTable();
  /** Where packets that arrive at a slot leave, and where RTCP does that comes beside RTP, if elsewhere. */
  readonly #peers = new SlotLinks();
  readonly #rtcpPeers = new SlotLinks();
  /** What a new thread has to be told of each slot. Not an object for each: there are four in a call. */
  readonly #sockets = new SlotSockets();
  /** Where connectivity checks are answered. */
  readonly #ice = new Map<number, IceCredentials>();
  /** The payload types that are copied, all of them where empty. */
  readonly #tapped = new Map<number, readonly number[]>();
  readonly #closings = new Map<number, Closing>();
  readonly #freeSlots: number[] = [];
  readonly #retired = { sockets: 0, packets: 0, bytes: 0, strangers: 0, undeliverable: 0, kernelPackets: 0 };
  /** In the order in which the thread was told. */
  readonly #former: Former[] = [];
  readonly #whenLeft: (() => void)[] = [];
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
    const slot = this.#freeSlots.pop() ?? this.#sockets.length;
    if (slot >= maxSlots) return 'ENOBUFS';
    const { dscp } = this;
    const fd = this.#source.bind(address, port, dscp);
    if (typeof fd === 'string') {
      if (slot < this.#sockets.length) this.#freeSlots.push(slot);
      return fd;
    }
    this.#table.clear(slot);
    this.#sockets.open(slot, fd, address, port, dscp, latchBit.rtp);
    this.#tell(['open', slot, fd, address, port, dscp]);
    return slot;
  }

  /**
   * Slots go on at `port` and those that follow of another address, with all that they know and have counted. False
   * where a port cannot be bound; nothing has changed then. `left` is called once the ports of before are free.
   */
  rebind(slots: readonly number[], address: string, port: number, left: () => void): boolean {
    const sockets = this.#sockets;
    const fds: (number | undefined)[] = [];
    for (const [n, slot] of slots.entries()) {
      // One without a socket needs none there either.
      const fd = sockets.isBound(slot) ? this.#source.bind(address, port + n, sockets.dscp(slot)) : undefined;
      if (typeof fd === 'string') {
        for (const bound of fds) if (bound !== undefined && bound >= 0) this.#source.close(bound);
        return false;
      }
      fds.push(fd);
    }
    let waiting = fds.filter((fd) => fd !== undefined).length;
    slots.forEach((slot, n) => {
      const fd = fds[n];
      if (fd === undefined) sockets.unbind(slot, address);
      else this.#goOn(slot, fd, address, () => --waiting === 0 && left());
    });
    if (!this.#thread) this.#leaveFormer();
    return true;
  }

  /** True while the slot has a socket. */
  isBound(slot: number): boolean {
    return this.#sockets.isBound(slot);
  }

  /** The slot gives its socket back. All that it knows and has counted stays, and what it is told until `bind` counts. */
  unbind(slot: number): void {
    if (!this.isBound(slot)) return;
    this.#goOn(slot, undefined, this.#sockets.address(slot), nothing);
    if (!this.#thread) this.#leaveFormer();
  }

  /** The slot has a socket again, at the port that it had. Gives the name of the error where that cannot be bound. */
  bind(slot: number): string | undefined {
    if (this.isBound(slot)) return undefined;
    const sockets = this.#sockets;
    const [address, port] = [sockets.address(slot), sockets.port(slot)];
    // The thread may not have let go of it yet.
    const former = this.#former.find(
      (each) => each.slot === slot && each.fd !== undefined && each.address === address,
    );
    const fd = former?.fd ?? this.#source.bind(address, port, sockets.dscp(slot));
    if (typeof fd === 'string') return fd;
    if (former) former.fd = undefined;
    this.#goOn(slot, fd, address, nothing);
    if (!this.#thread) this.#leaveFormer();
    return undefined;
  }

  /** With another socket, or with none. */
  #goOn(slot: number, fd: number | undefined, address: string, left: () => void): void {
    const sockets = this.#sockets;
    const before = { address: sockets.address(slot), left };
    this.#former.push({ slot, fd: sockets.isBound(slot) ? sockets.fd(slot) : undefined, ...before });
    if (fd === undefined) sockets.unbind(slot, address);
    else sockets.bind(slot, fd, address);
    this.#tell(['rebind', slot, fd, address, sockets.port(slot), sockets.dscp(slot)]);
  }

  #leaveFormer(slot?: number): void {
    const at = slot === undefined ? 0 : this.#former.findIndex((former) => former.slot === slot);
    if (at < 0) return;
    const gone = slot === undefined ? this.#former.splice(0) : this.#former.splice(at, 1);
    for (const { fd, left } of gone) {
      if (fd !== undefined && fd >= 0) this.#source.close(fd);
      left();
    }
    if (this.#whenLeft.length > 0 && !this.#leaving)
      for (const resolve of this.#whenLeft.splice(0)) resolve();
  }

  get #leaving(): boolean {
    return this.#former.some(({ left }) => left !== nothing);
  }

  /** Resolves when all ports are free that slots have left for others. */
  left(): Promise<void> {
    if (!this.#leaving) return Promise.resolve();
    return new Promise((resolve) => this.#whenLeft.push(resolve));
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
    if (this.#sockets.kinds(slot) === kinds) return;
    this.#sockets.setKinds(slot, kinds);
    this.#tell(['kinds', slot, kinds]);
  }

  /** Connectivity checks are answered from now on; with `checked` nothing else makes a source the remote. */
  setIce(slot: number, ice: IceCredentials | undefined, checked: boolean): void {
    if (this.#ice.get(slot) === ice && this.#sockets.has(slot, latchBit.checked) === checked) return;
    if (ice) this.#ice.set(slot, ice);
    else this.#ice.delete(slot);
    this.#sockets.mark(slot, latchBit.checked, checked);
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
    this.#sockets.mark(slot, latchBit.aimed | latchBit.learning, true);
    this.#sockets.mark(slot, latchBit.rtp, rtp);
    this.#sockets.aim(slot, signalling, beside);
    const { address, port } = remote === 'learn' ? { address: '', port: 0 } : remote;
    this.#tell(['aim', slot, address, port, rtp, signalling, beside]);
  }

  /**
   * The side's SIP comes from another address than before, its SDP names the same: behind a NAT that got a new
   * address. The remote stays until a source comes that fits better now. Opens the learning window.
   */
  expect(slot: number, signalling: string): void {
    this.#sockets.mark(slot, latchBit.learning, true);
    this.#sockets.expect(slot, signalling);
    this.#tell(['expect', slot, signalling]);
  }

  /** The peer may be about to send from another port of its address, or is not any more. */
  expectMove(slot: number, moving: boolean): void {
    if (this.#sockets.has(slot, latchBit.moving) === moving) return;
    this.#sockets.mark(slot, latchBit.moving, moving);
    this.#tell(['moving', slot, moving]);
  }

  /** Nothing is sent to the remote while it is muted. */
  mute(slot: number, muted: boolean): void {
    if (this.#sockets.has(slot, latchBit.muted) === muted) return;
    this.#sockets.mark(slot, latchBit.muted, muted);
    this.#tell(['mute', slot, muted]);
  }

  /**
   * Packets that arrive here are copied to the ring, those of the payload types or all where none is named; the
   * kernel does not forward them by itself meanwhile. Undefined ends it.
   */
  tap(slot: number, types: readonly number[] | undefined): void {
    this.#sockets.check(slot);
    if (this.#tapped.get(slot)?.join() === types?.join()) return;
    if (types) this.#tapped.set(slot, types);
    else this.#tapped.delete(slot);
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
    this.#sockets.mark(slot, latchBit.learning, false);
    this.#tell(['seal', slot]);
  }

  /** `released` is called once the ports can be bound again, while the last counters can still be read. */
  close(slots: readonly number[], released: () => void): void {
    const closing = { slots, waiting: slots.length, released };
    for (const slot of slots) {
      this.#sockets.check(slot);
      this.#closings.set(slot, closing);
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

  /** Of the counters this one alone, with nothing allocated for it. */
  rtpPackets(slot: number): number {
    return this.#table.values[this.#table.base(slot) + counter.rtp]!;
  }

  /** The usual payload type of a slot's packets; -1 before the first, or where nobody looks. */
  payloadType(rtp: number): number {
    return this.#table.values[this.#table.base(rtp) + quality.payloadType]!;
  }

  /** What the packets of a pair told of their stream; `beside` where RTCP comes to the slot of RTP. */
  quality(rtp: number, rtcp: number, beside = false): StreamQuality | undefined {
    return this.#table.quality(rtp, rtcp, beside);
  }

  /** Where packets to this peer go at the moment. */
  remote(slot: number): Endpoint | undefined {
    return this.#table.remote(slot);
  }

  /** Sums over all sockets that are and were. */
  totals(): ForwarderTotals {
    const totals = { ...this.#retired };
    for (const slot of this.#sockets.slots()) {
      if (this.#sockets.isBound(slot)) totals.sockets++;
      addCounters(totals, this.#table.counters(slot));
    }
    for (const { fd } of this.#former) if (fd !== undefined) totals.sockets++;
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
    for (const slot of this.#sockets.slots())
      this.#release(this.#closings.get(slot) ?? { slots: [slot], waiting: 0, released: () => {} });
    this.#source.detach();
  }

  /** Ends the media thread as a crash would; resolves when it is gone and the next one is starting. */
  async crash(): Promise<void> {
    await this.#thread?.crash();
  }

  #tell(command: Command): void {
    this.#thread?.tell(command);
  }

  #take(report: Report): void {
    switch (report[0]) {
      case 'closed': {
        const closing = this.#closings.get(report[1]);
        if (closing && --closing.waiting === 0) this.#release(closing);
        break;
      }
      case 'rebound':
        this.#leaveFormer(report[1]);
        break;
      case 'lost': {
        const [, slot, error] = report;
        if (!this.#sockets.isOpen(slot)) break;
        this.#log.warn(
          `media socket ${this.#sockets.address(slot)}:${this.#sockets.port(slot)} was lost: ${error}`,
        );
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
      const fd = this.#sockets.fd(slot);
      if (fd >= 0) this.#source.close(fd);
      addCounters(this.#retired, this.#table.counters(slot));
      this.#sockets.close(slot);
      this.#ice.delete(slot);
      this.#tapped.delete(slot);
      this.#closings.delete(slot);
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
    for (const closing of new Set(this.#closings.values())) this.#release(closing);
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
    if (this.#ringTold) this.#tell(['ring', this.ring.memory]);
    const sockets = this.#sockets;
    for (const slot of sockets.slots()) {
      const fd = sockets.isBound(slot) ? sockets.fd(slot) : undefined;
      const [address, port] = [sockets.address(slot), sockets.port(slot)];
      this.#tell(['open', slot, fd, address, port, sockets.dscp(slot)]);
    }
    for (const slot of sockets.slots()) {
      const [rtp, aimed] = [sockets.has(slot, latchBit.rtp), sockets.has(slot, latchBit.aimed)];
      const [signalling, beside] = [sockets.signalling(slot), sockets.beside(slot)];
      const [kinds, ice, tapped] = [sockets.kinds(slot), this.#ice.get(slot), this.#tapped.get(slot)];
      const [peer, rtcpPeer] = [this.#peers.get(slot), this.#rtcpPeers.get(slot)];
      // What was learned stands in the shared memory, which outlives the thread.
      const remote = this.#table.remote(slot);
      if (remote) this.#tell(['aim', slot, remote.address, remote.port, rtp, signalling, beside]);
      else if (aimed) this.#tell(['aim', slot, '', 0, rtp, signalling, beside]);
      if (!sockets.has(slot, latchBit.learning)) this.#tell(['seal', slot]);
      if (sockets.has(slot, latchBit.muted)) this.#tell(['mute', slot, true]);
      if (sockets.has(slot, latchBit.moving)) this.#tell(['moving', slot, true]);
      if (kinds) this.#tell(['kinds', slot, kinds]);
      if (ice) this.#tell(['ice', slot, ice, sockets.has(slot, latchBit.checked)]);
      if (tapped) this.#tell(['tap', slot, tapped]);
      if (peer >= 0) this.#tell(['link', slot, peer]);
      if (rtcpPeer >= 0) this.#tell(['split', slot, rtcpPeer]);
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
  totals.kernelPackets += counters.kernelPackets;
}
