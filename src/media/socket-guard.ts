import { AF_INET, type Libc } from '../net/libc.ts';
import { counter, remoteOffset, type SlotTable, slotBytes } from './slot-table.ts';
import { sockaddrBytes, writeSockaddr } from './sockaddr.ts';

const solSocket = 1;
const soAttachFilter = 26;
const soDetachFilter = 27;
const soMeminfo = 55;
/** SK_MEMINFO_DROPS among SK_MEMINFO_VARS words. */
const dropsWord = 8;
const meminfoWords = 9;

/** Instructions of the filter: BPF_LD|BPF_W|BPF_ABS and its sisters for 16 and 8 bits, a jump where equal or not below, an end. */
const code = { word: 0x20, half: 0x28, byte: 0x30, ifEqual: 0x15, ifNotBelow: 0x35, end: 0x06 } as const;
/** SKF_NET_OFF: from here on offsets are those of the IP header; from 0 on, those of UDP's. */
const ipHeader = -0x10_0000;
const ipv4SourceAt = 12;
const ipv6SourceAt = 8;
const payloadAt = 8;
const wholePacket = 0xffff_ffff;
/** First bytes of STUN are lower (RFC 7983 7). */
const aboveStun = 4;
const instructionBytes = 8;
/** For a source and three addresses of IPv6, and STUN. */
const maxInstructions = 42;

/** A filter takes some kilobytes of the kernel: so many sockets have one at once. */
const maxGuarded = 1024;
/** How often drops are counted. */
const countMs = 1000;
/** A filter that has dropped nothing for so long is taken off. */
const quietMs = 60_000;

/** Places in memory that the kernel reads and writes. */
const programAt = 0;
const instructionsAt = 16;
const meminfoAt = instructionsAt + maxInstructions * instructionBytes;
const lengthAt = meminfoAt + meminfoWords * 4;

interface Guarded {
  readonly fd: number;
  readonly latecomers: Latecomers | undefined;
  /** What the kernel had dropped at this socket when that was last read. */
  drops: number;
  /** How many strangers there were by then, and when they grew to that. */
  strangers: number;
  lastAt: number;
}

/** Who may still begin at a port where nobody was heard: from these addresses, by any port. */
export interface Latecomers {
  readonly addresses: readonly string[];
  /** The slot of the RTP that this is the RTCP of: once its remote is another one, so is who may begin here; -1 for none. */
  readonly beside: number;
}

/** Drops strangers where they come in, before their packets get as far as a socket: src/media/kernel. */
export interface OuterGuard {
  shut(slot: number, stun: boolean): void;
  open(slot: number): void;
}

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/**
 * Keeps strangers out of sockets in the kernel, where they flood one whose remote is known and stays: by a classic
 * filter (SO_ATTACH_FILTER), for which no right is needed. What it drops wakes nobody and takes no room in the
 * socket's queue, and is counted by the kernel.
 */
export class SocketGuard {
  readonly #libc: Libc;
  readonly #table: SlotTable;
  readonly #memory: DataView = new DataView(new ArrayBuffer(lengthAt + 4));
  readonly #address: number;
  readonly #outer: OuterGuard | undefined;
  readonly #guarded = new Map<number, Guarded>();
  #nextCountAt = 0;

  constructor(libc: Libc, table: SlotTable, outer?: OuterGuard) {
    this.#libc = libc;
    this.#table = table;
    this.#outer = outer;
    this.#address = libc.addressOf(new Uint8Array(this.#memory.buffer));
    this.#memory.setBigUint64(8, BigInt(this.#address + instructionsAt), true);
  }

  /**
   * Only the slot's remote of now gets in, `latecomers`, and with `stun` what looks like that. Does nothing where that
   * is so already.
   */
  shut(slot: number, fd: number, stun: boolean, now: number, latecomers?: Latecomers): void {
    const known = this.#guarded.get(slot);
    if (known && (latecomers || !known.latecomers)) return;
    // One of them has begun.
    if (known) this.open(slot);
    if (this.#guarded.size >= maxGuarded) return;
    const instructions = this.#instructions(slot, stun, latecomers?.addresses ?? []);
    this.#memory.setUint16(programAt, instructions.length, true);
    instructions.forEach(([opcode, ifTrue, ifFalse, value], index) => {
      const at = instructionsAt + index * instructionBytes;
      this.#memory.setUint16(at, opcode, true);
      this.#memory.setUint8(at + 2, ifTrue);
      this.#memory.setUint8(at + 3, ifFalse);
      this.#memory.setUint32(at + 4, value, true);
    });
    const drops = this.#drops(fd);
    // Where it is forbidden strangers are told apart packet by packet, as before.
    if (this.#libc.setsockopt(fd, solSocket, soAttachFilter, this.#address + programAt, 16) < 0) return;
    this.#guarded.set(slot, { fd, latecomers, drops, strangers: this.#strangers(slot), lastAt: now });
    // The program knows one source of a port.
    if (!latecomers) this.#outer?.shut(slot, stun);
  }

  /** Everybody gets in again: the slot has another remote, or ends. So it is where that tells who may begin. */
  open(slot: number): void {
    if (this.#guarded.size === 0) return;
    this.#takeOff(slot);
    for (const [other, { latecomers }] of this.#guarded)
      if (latecomers?.beside === slot) this.#takeOff(other);
  }

  #takeOff(slot: number): void {
    const guarded = this.#guarded.get(slot);
    if (!guarded) return;
    this.#libc.setsockopt(guarded.fd, solSocket, soDetachFilter, this.#address, 4);
    if (!guarded.latecomers) this.#outer?.open(slot);
    this.#count(slot, guarded);
    this.#guarded.delete(slot);
  }

  /** Takes off what a thread before this one may have put there. */
  adopt(fd: number): void {
    this.#libc.setsockopt(fd, solSocket, soDetachFilter, this.#address, 4);
  }

  /** Counts what was dropped, from time to time. */
  work(now: number): void {
    if (now < this.#nextCountAt) return;
    this.#nextCountAt = now + countMs;
    for (const [slot, guarded] of this.#guarded) {
      this.#count(slot, guarded);
      const strangers = this.#strangers(slot);
      if (strangers !== guarded.strangers) {
        guarded.strangers = strangers;
        guarded.lastAt = now;
      } else if (now - guarded.lastAt > quietMs) this.#takeOff(slot);
    }
  }

  #count(slot: number, guarded: Guarded): void {
    const drops = this.#drops(guarded.fd);
    this.#table.values[this.#table.base(slot) + counter.strangers]! += (drops - guarded.drops) >>> 0;
    guarded.drops = drops;
  }

  #strangers(slot: number): number {
    return this.#table.values[this.#table.base(slot) + counter.strangers]!;
  }

  #drops(fd: number): number {
    const { buffer } = this.#memory;
    this.#memory.setUint32(lengthAt, meminfoWords * 4, true);
    new Uint8Array(buffer, meminfoAt, meminfoWords * 4).fill(0);
    this.#libc.getsockopt(fd, solSocket, soMeminfo, this.#address + meminfoAt, this.#address + lengthAt);
    return this.#memory.getUint32(meminfoAt + dropsWord * 4, true);
  }

  #instructions(slot: number, stun: boolean, addresses: readonly string[]): Instruction[] {
    const { view } = this.#table;
    const remote = slot * slotBytes + remoteOffset;
    const program: Instruction[] = view.getUint16(remote) === 0 ? [] : sourceIs(view, remote, true);
    const sockaddr = new DataView(new ArrayBuffer(sockaddrBytes));
    for (const address of addresses) {
      writeSockaddr(sockaddr, 0, { address, port: 0 });
      program.push(...sourceIs(sockaddr, 0, false));
    }
    // Here is who is none of them; a packet without a payload ends at the load.
    if (stun) {
      program.push([code.byte, 0, 0, payloadAt], [code.ifNotBelow, 1, 0, aboveStun]);
      program.push([code.end, 0, 0, wholePacket]);
    }
    program.push([code.end, 0, 0, 0]);
    return program;
  }
}

/** Lets packets from this `sockaddr` in, or from any port of its address; goes on with others. */
function sourceIs(view: DataView, at: number, withPort: boolean): Instruction[] {
  const addressAt = view.getUint16(at, true) === AF_INET ? at + 4 : at + 8;
  const words = addressAt === at + 4 ? 1 : 4;
  const sourceAt = words === 1 ? ipv4SourceAt : ipv6SourceAt;
  // The filter's numbers are those of the machine: what it loads it turns from the network's order.
  const program: Instruction[] = withPort
    ? [
        [code.half, 0, 0, 0],
        [code.ifEqual, 0, 2 * words + 1, view.getUint16(at + 2)],
      ]
    : [];
  for (let word = 0; word < words; word++) {
    program.push([code.word, 0, 0, (ipHeader + sourceAt + 4 * word) >>> 0]);
    program.push([code.ifEqual, 0, 2 * (words - word - 1) + 1, view.getUint32(addressAt + 4 * word)]);
  }
  program.push([code.end, 0, 0, wholePacket]);
  return program;
}
