import { receiveMessageOnPort } from 'node:worker_threads';
import { errorName, type Libc } from '../net/libc.ts';
import { DscpKeeper } from './dscp-keeper.ts';
import { ExpectedSources } from './expected-sources.ts';
import type { Command, ForwarderData, Pump, Report } from './forwarder-protocol.ts';
import { flowFlag } from './kernel/flow-layout.ts';
import type { KernelFlows } from './kernel/kernel-flows.ts';
import { isRtcp, latchBit, mayComeAside, mayLearn, reaimed } from './latch.ts';
import { RtpStatistics } from './rtp-statistics.ts';
import { counter, maxSlots, remoteOffset, type SlotTable, slotBytes } from './slot-table.ts';
import { eraseSockaddr, readSockaddr, sockaddrBytes, writeSockaddr } from './sockaddr.ts';
import { SocketGuard } from './socket-guard.ts';
import { lateAddresses, rankAfterMove, rankOf, takesOver } from './source-rank.ts';
import { quality } from './stream-quality.ts';
import { answerStun, type IceCredentials, isStun } from './stun.ts';
import { PacketTap } from './tap/packet-tap.ts';

const epollIn = 1;
const epollCtlAdd = 1;
const epollCtlDel = 2;
const msgDontWait = 0x40;
/** `struct epoll_event` is packed on x86-64 only: the slot number follows the 32 bits of events at once. */
const eventBytes = process.arch === 'x64' ? 12 : 16;
const eventData = eventBytes - 8;
/** Packets handled between two looks at the commands. */
const eventsPerWait = 256;
/** What is read at most of a socket that is about to lose its peer: a second of audio. */
const drainedPackets = 50;
/** Stand in the epoll set for the eventfd, and for news of routes. */
const wakeSlot = 0xffff_ffff;
const routesSlot = 0xffff_fffe;
/** Only a backstop: commands and packets wake the loop. */
const idleWaitMs = 1000;

/**
 * With more packets than this in a second, the thread naps between two looks at the sockets: to be woken for each
 * packet costs half as much as to forward it. A nap lasts 50 µs longer, the kernel's slack for timers; a longer one
 * spares little more, and every packet waits for it. Not while a socket has more than one packet waiting.
 */
const busyPackets = 10_000;
const napUs = 100;
const rateWindowMs = 50;
/** Every so many strangers it is asked whether their socket can do without them. */
const strangersPerGuard = 64;
/** More sockets than this with packets at once: the thread was kept from the processor and has to catch up. */
const manyReady = 64;

/** The arena: places of the things that the kernel reads and writes. */
const eventsAt = 0;
const sourceAt = 8192;
const sourceLengthAt = sourceAt + sockaddrBytes;
const bufferAt = sourceAt + 128;
const bufferBytes = 65_536;

/** Forwards packets with epoll, recvfrom and sendto: one packet at a time, nothing allocated for it. */
export class KoffiPump implements Pump {
  readonly #data: ForwarderData;
  readonly #libc: Libc;
  readonly #table: SlotTable;
  readonly #values: Float64Array;
  /** The words of the shared memory, to compare and copy socket addresses. */
  readonly #words: Uint32Array;
  readonly #fds: Int32Array = new Int32Array(maxSlots).fill(-1);
  readonly #peers: Int32Array = new Int32Array(maxSlots).fill(-1);
  /** Where RTCP leaves that comes beside RTP. */
  readonly #rtcpPeers: Int32Array = new Int32Array(maxSlots).fill(-1);
  readonly #ice = new Map<number, IceCredentials>();
  readonly #statistics: RtpStatistics;
  readonly #tap: PacketTap;
  readonly #guard: SocketGuard;
  readonly #arenaBytes: Uint8Array;
  readonly #flags: Uint16Array = new Uint16Array(maxSlots);
  readonly #expected = new ExpectedSources();
  /** How well the best source of this window fitted; 0 before the first. */
  readonly #ranks: Uint8Array = new Uint8Array(maxSlots);
  readonly #remoteLengths: Uint8Array = new Uint8Array(maxSlots);
  readonly #arena: DataView = new DataView(new ArrayBuffer(bufferAt + bufferBytes));
  readonly #arenaWords: Uint32Array = new Uint32Array(this.#arena.buffer);
  readonly #packet: Uint8Array = new Uint8Array(this.#arena.buffer, bufferAt);
  readonly #arenaAddress: number;
  readonly #tableAddress: number;
  /** Takes settled flows over; undefined where all is done here. */
  readonly #kernel: KernelFlows | undefined;
  readonly #dscp: DscpKeeper;
  /** A socket is being emptied before its packets are handed to the kernel. */
  #emptying = false;
  #stopped = false;

  constructor(data: ForwarderData, table: SlotTable, libc: Libc, kernel?: KernelFlows) {
    this.#data = data;
    this.#libc = libc;
    this.#kernel = kernel;
    this.#table = table;
    this.#values = this.#table.values;
    this.#statistics = new RtpStatistics(this.#table);
    this.#tap = new PacketTap(table);
    this.#guard = new SocketGuard(libc, table, kernel);
    this.#arenaBytes = new Uint8Array(this.#arena.buffer);
    this.#words = new Uint32Array(data.memory);
    this.#arenaAddress = libc.addressOf(new Uint8Array(this.#arena.buffer));
    this.#tableAddress = libc.addressOf(new Uint8Array(data.memory));
    const [source, buffer] = [this.#arenaAddress + sourceAt, this.#arenaAddress + bufferAt];
    this.#dscp = new DscpKeeper(libc, source, buffer, bufferBytes);
  }

  /** Waits and forwards until it is told to stop. The event loop of the thread does not turn meanwhile. */
  loop(): void {
    const { epollFd, wakeFd, kernel: kernelData } = this.#data;
    const kernel = this.#kernel;
    this.#watch(epollCtlAdd, wakeFd, wakeSlot);
    if (kernelData) this.#watch(epollCtlAdd, kernelData.changesFd, routesSlot);
    let waitMs = idleWaitMs;
    let windowBegan = 0;
    let windowPackets = 0;
    let busy = false;
    /** The last round in which each socket had a packet: one that has one again had more of them waiting. */
    const rounds = new Uint32Array(maxSlots);
    let round = 1;
    let behind = false;
    while (!this.#stopped) {
      if (busy && !behind) this.#libc.usleep(napUs);
      const ready = this.#libc.epollWait(epollFd, this.#arenaAddress + eventsAt, eventsPerWait, waitMs);
      // Commands first: a packet that answers an SDP must not overtake what that SDP told the relay.
      for (let i = 0; i < ready; i++) if (this.#slotOf(i) === wakeSlot) this.#runCommands();
      const now = performance.timeOrigin + performance.now();
      behind = ready >= manyReady;
      round = (round + 1) >>> 0;
      for (let i = 0; i < ready; i++) {
        const slot = this.#slotOf(i);
        if (slot >= routesSlot) {
          if (slot === routesSlot) kernel?.takeChanges();
        } else if (this.#fds[slot]! >= 0) {
          if (rounds[slot] === round - 1) behind = true;
          rounds[slot] = round;
          this.#forward(slot, now);
        }
      }
      windowPackets += ready;
      if (now - windowBegan >= rateWindowMs) {
        busy = windowPackets > (busyPackets * (now - windowBegan)) / 1000;
        windowBegan = now;
        windowPackets = 0;
      }
      this.#guard.work(now);
      if (kernel) waitMs = kernel.work(now) ? 0 : kernel.waitMs(now);
    }
  }

  /** The slot of an event of this round. */
  #slotOf(index: number): number {
    return this.#arena.getUint32(eventsAt + index * eventBytes + eventData, true);
  }

  /** What came before a stream ends is still forwarded: the command may have overtaken it. True where that is all. */
  #drain(slot: number): boolean {
    const now = performance.timeOrigin + performance.now();
    let left = drainedPackets;
    while (left > 0 && this.#forward(slot, now)) left--;
    return left > 0;
  }

  /** False where no packet waits. */
  #forward(slot: number, now: number): boolean {
    const libc = this.#libc;
    const arena = this.#arenaAddress;
    const size = this.#receive(slot);
    if (size < 0) return false;
    const at = this.#table.base(slot);
    if (size === 0) {
      this.#values[at + counter.undeliverable]!++;
      return true;
    }
    if ((this.#flags[slot]! & latchBit.sorted) !== 0 && isStun(this.#packet[0]!) && this.#ice.has(slot)) {
      this.#check(slot, size, now);
      return true;
    }
    if (!this.#fromRemote(slot)) {
      const [flags, first] = [this.#flags[slot]!, this.#packet[0]!];
      if (mayLearn(flags, first) && this.#takesOver(slot)) this.#learn(slot, now);
      else if (!mayComeAside(flags, first) || !this.#fromRemoteAddress(slot)) {
        if (++this.#values[at + counter.strangers]! % strangersPerGuard === 0) this.#keepOut(slot, now);
        return true;
      }
    } else if (this.#ranks[slot] === 0) this.#takesOver(slot);
    this.#flags[slot]! |= latchBit.latched;
    this.#values[at + counter.packets]!++;
    this.#values[at + counter.bytes]! += size;
    this.#values[at + counter.lastPacketAt] = now;
    if ((this.#flags[slot]! & latchBit.tapped) !== 0)
      this.#tap.copy(slot, now, this.#arenaBytes, sourceAt, this.#packet, size);
    let peer = this.#peers[slot]!;
    const kernel = this.#kernel;
    let paused = false;
    if (size < 2 || (this.#flags[slot]! & latchBit.rtp) === 0 || !isRtcp(this.#packet[1]!)) {
      this.#values[at + counter.rtp]!++;
      if (kernel?.carried[slot] === 1 && this.#statistics.counts(slot, this.#packet, size))
        paused = kernel.pause(slot);
      this.#statistics.rtp(slot, this.#packet, size, now);
    } else {
      if (this.#rtcpPeers[slot]! >= 0) peer = this.#rtcpPeers[slot]!;
      this.#statistics.rtcp(slot, peer, this.#packet, size, now);
    }
    if (peer >= 0 && (this.#flags[peer]! & (latchBit.aimed | latchBit.muted)) === latchBit.aimed) {
      const target = this.#tableAddress + peer * slotBytes + remoteOffset;
      const length = this.#remoteLengths[peer]!;
      this.#dscp.mark(peer, this.#fds[peer]!, length > 16);
      if (libc.sendto(this.#fds[peer]!, arena + bufferAt, size, msgDontWait, target, length) >= 0) {
        if (paused) kernel?.resume(slot);
        else if (kernel?.carried[slot] === 0) this.#promote(kernel, slot, peer, now);
        return true;
      }
    }
    if (paused) kernel?.resume(slot);
    this.#values[at + counter.undeliverable]!++;
    return true;
  }

  #receive(slot: number): number {
    const fd = this.#fds[slot]!;
    const peer = this.#rtcpPeers[slot]! >= 0 ? this.#rtcpPeers[slot]! : this.#peers[slot]!;
    if (peer >= 0 && this.#dscp.keeps(peer)) {
      const size = this.#dscp.receive(fd, msgDontWait);
      this.#arenaWords[sourceLengthAt >> 2] = this.#dscp.sourceLength;
      return size;
    }
    const arena = this.#arenaAddress;
    this.#arenaWords[sourceLengthAt >> 2] = sockaddrBytes;
    return this.#libc.recvfrom(
      fd,
      arena + bufferAt,
      bufferBytes,
      msgDontWait,
      arena + sourceAt,
      arena + sourceLengthAt,
    );
  }

  /** Both ends are where packets came from: the kernel may forward the next packet of the kind of this one. */
  #promote(kernel: KernelFlows, slot: number, peer: number, now: number): void {
    const flags = this.#flags[slot]!;
    if ((this.#flags[peer]! & latchBit.latched) === 0 || (flags & latchBit.tapped) !== 0) return;
    if (this.#emptying || !kernel.mayPromote(slot, now)) return;
    // Before others lie in its place: where this packet leaves is not where those of another kind do.
    const second = this.#packet[1]!;
    const leavesAlone = this.#rtcpPeers[slot]! >= 0;
    if (leavesAlone && peer === this.#rtcpPeers[slot]) return;
    // What waits in the socket came before what the kernel is to forward.
    this.#emptying = true;
    const empty = this.#drain(slot);
    this.#emptying = false;
    if (!empty) return;
    let kinds = 0;
    if ((flags & latchBit.rtp) !== 0) {
      const said = this.#statistics.kinds(slot);
      const rtcpRead = said?.reports === true || leavesAlone;
      if (rtcpRead && isRtcp(second)) return;
      if (said?.tracked && this.#values[this.#table.base(slot) + quality.payloadType] !== (second & 0x7f))
        return;
      kinds = flowFlag.rtp | (rtcpRead ? flowFlag.rtcpRead : 0) | (said?.tracked ? flowFlag.tracked : 0);
    }
    kernel.promote(slot, peer, kinds, now);
    // And what came in this moment.
    if (kernel.carried[slot] === 1) this.#drain(slot);
  }

  /** Compares family, port and address; the flow label and the zone of IPv6 may differ. */
  #fromRemote(slot: number): boolean {
    if ((this.#flags[slot]! & latchBit.aimed) === 0) return false;
    const remote = (slot * slotBytes + remoteOffset) >> 2;
    return this.#words[remote] === this.#arenaWords[sourceAt >> 2] && this.#fromRemoteAddress(slot);
  }

  /** A socket has one family: only the address can differ. */
  #fromRemoteAddress(slot: number): boolean {
    const remote = (slot * slotBytes + remoteOffset) >> 2;
    const source = sourceAt >> 2;
    const a = this.#words;
    const b = this.#arenaWords;
    if (this.#remoteLengths[slot] === 16) return a[remote + 1] === b[source + 1];
    return (
      a[remote + 2] === b[source + 2] &&
      a[remote + 3] === b[source + 3] &&
      a[remote + 4] === b[source + 4] &&
      a[remote + 5] === b[source + 5]
    );
  }

  /** A connectivity check of ICE: answered where it proves itself, and obeyed where it chooses this way. */
  #check(slot: number, size: number, now: number): void {
    const source = readSockaddr(this.#arena, sourceAt);
    const request = Buffer.from(this.#arena.buffer, bufferAt, size);
    const answer = source && answerStun(request, source, this.#ice.get(slot)!);
    if (!answer) {
      this.#values[this.#table.base(slot) + counter.strangers]!++;
      return;
    }
    // A client chooses again with every check: only another way than that of now is news. Before the answer: what
    // follows that goes there.
    if (answer.nominated && !this.#fromRemote(slot)) this.#learn(slot, now);
    this.#packet.set(answer.response);
    const arena = this.#arenaAddress;
    const length = this.#arenaWords[sourceLengthAt >> 2]!;
    this.#libc.sendto(
      this.#fds[slot]!,
      arena + bufferAt,
      answer.response.length,
      msgDontWait,
      arena + sourceAt,
      length,
    );
  }

  /** Whether the source of this packet is better than the remote so far; it is remembered then. */
  #takesOver(slot: number): boolean {
    // Nothing fits better than what was described: most strangers go without another look.
    const best = this.#ranks[slot]!;
    if (best === 3) return false;
    const source = readSockaddr(this.#arena, sourceAt);
    if (!source) return false;
    const expected = this.#expected.of(slot, this.#table);
    const rank = rankOf(source, expected);
    if (!takesOver((this.#flags[slot]! & latchBit.learning) !== 0, rank, best, expected)) return false;
    this.#ranks[slot] = rank;
    return true;
  }

  /** Strangers come in numbers: where nobody can become the remote any more the kernel drops them by itself. */
  #keepOut(slot: number, now: number): void {
    const flags = this.#flags[slot]!;
    if ((flags & latchBit.moving) !== 0) return;
    const checked = (flags & latchBit.checked) !== 0;
    if (!checked && (flags & latchBit.learning) !== 0 && this.#ranks[slot] !== 3) return;
    const [fd, stun] = [this.#fds[slot]!, this.#ice.has(slot)];
    if (checked || (flags & latchBit.latched) !== 0) {
      this.#guard.shut(slot, fd, stun, now);
      return;
    }
    // Who was never heard may still begin, from where it is expected.
    const v6 = this.#arenaWords[sourceLengthAt >> 2] !== 16;
    const addresses = lateAddresses(this.#expected.of(slot, this.#table))?.filter(
      (address) => address.includes(':') === v6,
    );
    if (addresses)
      this.#guard.shut(slot, fd, stun, now, { addresses, beside: this.#expected.besideOf(slot) });
  }

  #learn(slot: number, now: number): void {
    this.#guard.open(slot);
    this.#kernel?.withdrawAround(slot, (this.#flags[slot]! & latchBit.latched) === 0 ? 0 : now);
    const remote = (slot * slotBytes + remoteOffset) >> 2;
    const source = sourceAt >> 2;
    const length = this.#arenaWords[sourceLengthAt >> 2]!;
    for (let i = 0; i < length >> 2; i++) this.#words[remote + i] = this.#arenaWords[source + i]!;
    this.#remoteLengths[slot] = length;
    this.#flags[slot]! |= latchBit.aimed;
  }

  #runCommands(): void {
    this.#libc.eventfdRead(this.#data.wakeFd, this.#arenaAddress + sourceAt);
    const { port } = this.#data;
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      for (const command of next.message as readonly Command[]) this.run(command);
    }
  }

  run(command: Command): void {
    switch (command[0]) {
      case 'open': {
        const [, slot, fd, address, port, dscp] = command;
        this.#fds[slot] = -1;
        this.#peers[slot] = -1;
        this.#rtcpPeers[slot] = -1;
        this.#flags[slot] = latchBit.rtp;
        this.#ranks[slot] = 0;
        this.#expected.forget(slot);
        this.#statistics.set(slot, undefined);
        this.#ice.delete(slot);
        if (fd === undefined) break;
        this.#guard.adopt(fd);
        this.#serve(slot, fd, address, port, dscp);
        break;
      }
      case 'rebind': {
        const [, slot, fd, address, port, dscp] = command;
        if (this.#fds[slot]! >= 0) {
          // What came to the socket of before.
          this.#drain(slot);
          this.#kernel?.withdrawAround(slot);
          this.#guard.open(slot);
          this.#kernel?.closed(slot);
          this.#watch(epollCtlDel, this.#fds[slot]!, slot);
          this.#fds[slot] = -1;
        }
        if (fd !== undefined) this.#serve(slot, fd, address, port, dscp);
        this.#report(['rebound', slot]);
        break;
      }
      case 'link':
        this.#kernel?.withdraw(command[1]);
        if (command[2] < 0 && this.#peers[command[1]]! >= 0) this.#drain(command[1]);
        this.#peers[command[1]] = command[2];
        break;
      case 'aim': {
        const [, slot, address, port, rtp, signalling, beside] = command;
        this.#kernel?.withdrawAround(slot);
        this.#guard.open(slot);
        this.#ranks[slot] = 0;
        this.#expected.set(slot, address, port, signalling, beside);
        this.#flags[slot] = reaimed(this.#flags[slot]!, address !== '', rtp);
        const at = slot * slotBytes + remoteOffset;
        if (address === '') eraseSockaddr(this.#table.view, at);
        else this.#remoteLengths[slot] = writeSockaddr(this.#table.view, at, { address, port });
        break;
      }
      case 'expect': {
        const [, slot, signalling] = command;
        this.#guard.open(slot);
        this.#expected.setSignalling(slot, signalling);
        this.#flags[slot]! |= latchBit.learning;
        if (this.#ranks[slot]! > 0)
          this.#ranks[slot] = rankAfterMove(this.#table.remote(slot), this.#expected.of(slot, this.#table));
        break;
      }
      case 'split':
        this.#kernel?.withdraw(command[1]);
        this.#rtcpPeers[command[1]] = command[2];
        this.#sort(command[1]);
        break;
      case 'kinds':
        this.#kernel?.withdraw(command[1]);
        this.#statistics.set(command[1], command[2]);
        break;
      case 'ice': {
        const [, slot, ice, checked] = command;
        this.#kernel?.withdraw(slot);
        this.#guard.open(slot);
        if (ice) this.#ice.set(slot, ice);
        else this.#ice.delete(slot);
        this.#flags[slot]! &= ~latchBit.checked;
        if (checked) this.#flags[slot]! |= latchBit.checked;
        this.#sort(slot);
        break;
      }
      case 'moving':
        if (command[2]) this.#guard.open(command[1]);
        this.#mark(command[1], latchBit.moving, command[2]);
        break;
      case 'mute':
        if (command[2]) this.#kernel?.withdrawInto(command[1]);
        this.#mark(command[1], latchBit.muted, command[2]);
        break;
      case 'tap':
        if (command[2]) this.#kernel?.withdraw(command[1]);
        this.#tap.set(command[1], command[2]);
        this.#mark(command[1], latchBit.tapped, command[2] !== undefined);
        break;
      case 'ring':
        this.#tap.useRing(command[1]);
        break;
      case 'seal':
        this.#flags[command[1]]! &= ~latchBit.learning;
        break;
      case 'close': {
        const slot = command[1];
        this.#kernel?.withdrawAround(slot);
        this.#guard.open(slot);
        this.#kernel?.closed(slot);
        if (this.#fds[slot]! >= 0) this.#watch(epollCtlDel, this.#fds[slot]!, slot);
        this.#fds[slot] = -1;
        this.#peers[slot] = -1;
        this.#rtcpPeers[slot] = -1;
        this.#flags[slot] = 0;
        this.#tap.set(slot, undefined);
        this.#statistics.set(slot, undefined);
        this.#ice.delete(slot);
        this.#report(['closed', slot]);
        break;
      }
      case 'sync':
        this.#report(['done', command[1]]);
        break;
      case 'stop':
        this.#stopped = true;
        break;
    }
  }

  #serve(slot: number, fd: number, address: string, port: number, dscp: number): void {
    this.#fds[slot] = fd;
    this.#dscp.opened(slot, dscp);
    this.#kernel?.opened(slot, address, port, dscp);
    if (this.#watch(epollCtlAdd, fd, slot) < 0) this.#report(['lost', slot, errorName(this.#libc)]);
  }

  #sort(slot: number): void {
    if (this.#rtcpPeers[slot]! >= 0 || this.#ice.has(slot)) this.#flags[slot]! |= latchBit.sorted;
    else this.#flags[slot]! &= ~latchBit.sorted;
  }

  #mark(slot: number, bit: number, set: boolean): void {
    if (set) this.#flags[slot]! |= bit;
    else this.#flags[slot]! &= ~bit;
  }

  #watch(operation: number, fd: number, slot: number): number {
    const at = sourceAt;
    this.#arena.setUint32(at, epollIn, true);
    this.#arena.setUint32(at + eventData, slot, true);
    this.#arena.setUint32(at + eventData + 4, 0, true);
    return this.#libc.epollControl(this.#data.epollFd, operation, fd, this.#arenaAddress + at);
  }

  #report(report: Report): void {
    this.#data.port.postMessage(report);
  }
}
