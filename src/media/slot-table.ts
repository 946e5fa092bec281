import type { Endpoint } from '../net/address.ts';
import { readSockaddr } from './sockaddr.ts';
import { readQuality, type StreamQuality } from './stream-quality.ts';

/** How many sockets the relay can hold at once: four a call with one stream, also while it does without some. */
export const maxSlots = 32_768;

/** Doubles a slot: the counters, the socket address of its remote, what the packets' headers told (`stream-quality.ts`). */
const doubles = 36;
export const slotBytes: number = doubles * 8;
/** Where the remote's `sockaddr` lies in a slot, in bytes. */
export const remoteOffset = 64;

/** Positions of the counters in a slot. The forwarder writes them, everybody reads. */
export const counter = {
  packets: 0,
  bytes: 1,
  /** Packets that are RTP, so not RTCP beside it on one port (RFC 5761). */
  rtp: 2,
  /** Dropped: from a source that is not the peer. */
  strangers: 3,
  /** Dropped: empty, nowhere to go yet, or refused by the kernel. */
  undeliverable: 4,
  /** Milliseconds since the Unix epoch; 0 before the first packet. */
  lastPacketAt: 5,
  /** Of `packets`, those that the kernel forwarded. */
  kernelPackets: 6,
  /** How often the slot was opened: tells its owner of now from one before. */
  generation: 7,
  /** What of the counts of the kernel's flow is in the counters already. */
  takenPackets: 12,
  takenBytes: 13,
  takenAside: 14,
  /** `packets` when the kernel's flow was last found to serve. */
  seenPackets: 15,
  /** What of the count of the kernel's guard is in `strangers` already. Behind what headers tell. */
  takenStrangers: 35,
} as const;

export interface SlotCounters {
  readonly packets: number;
  readonly bytes: number;
  readonly rtp: number;
  readonly strangers: number;
  readonly undeliverable: number;
  readonly lastPacketAt: number;
  readonly kernelPackets: number;
}

/**
 * The memory that the main thread and the forwarder share: for each socket its counters and the address that
 * its packets go to. Pages that nobody touches cost nothing.
 */
export class SlotTable {
  readonly memory: SharedArrayBuffer;
  readonly values: Float64Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(maxSlots * slotBytes)) {
    this.memory = memory;
    this.values = new Float64Array(memory);
    this.view = new DataView(memory);
  }

  /** Index into `values` of the first counter. */
  base(slot: number): number {
    return slot * doubles;
  }

  /** Which owner the slot has. */
  generation(slot: number): number {
    return this.values[slot * doubles + counter.generation]!;
  }

  /** For a new owner. */
  clear(slot: number): void {
    const generation = this.values[slot * doubles + counter.generation]! + 1;
    this.values.fill(0, slot * doubles, (slot + 1) * doubles);
    this.values[slot * doubles + counter.generation] = generation;
  }

  counters(slot: number): SlotCounters {
    const at = slot * doubles;
    return {
      packets: this.values[at + counter.packets]!,
      bytes: this.values[at + counter.bytes]!,
      rtp: this.values[at + counter.rtp]!,
      strangers: this.values[at + counter.strangers]!,
      undeliverable: this.values[at + counter.undeliverable]!,
      lastPacketAt: this.values[at + counter.lastPacketAt]!,
      kernelPackets: this.values[at + counter.kernelPackets]!,
    };
  }

  /** What the packets of a pair told of their stream; `beside` where RTCP comes to the slot of RTP. */
  quality(rtp: number, rtcp: number, beside = false): StreamQuality | undefined {
    return readQuality(this.values, this.base(rtp), this.base(rtcp), beside);
  }

  /** Where packets of this socket go at the moment: the address of the SDP or the learned one. */
  remote(slot: number): Endpoint | undefined {
    return readSockaddr(this.view, slot * slotBytes + remoteOffset);
  }
}
