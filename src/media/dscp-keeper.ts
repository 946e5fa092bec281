import type { Libc } from '../net/libc.ts';
import { maxSlots } from './slot-table.ts';
import { sockaddrBytes } from './sockaddr.ts';
import { setTrafficClass } from './traffic-class.ts';

/** Where the members of `struct msghdr` and of what it points at lie, on 64-bit Linux. */
const nameAt = 0;
const nameLengthAt = 8;
const iovAt = 16;
const iovLengthAt = 24;
const controlAt = 32;
const controlLengthAt = 40;
const vectorAt = 64;
const messageAt = 96;
/** One message of four bytes at most, behind its header of sixteen; on IPv4 it is the TOS, on IPv6 the traffic class. */
const messageBytes = 24;
const valueAt = messageAt + 16;
/** Without the two bits of ECN, which are of one hop. */
const dscpBits = 0xfc;
const fixed = 1;

/**
 * Lets packets leave with the DSCP that they came with: received by recvmsg, which tells it, and handed to the socket
 * that they leave by where it is another than that of the packet before, which in a call it hardly ever is. A socket
 * that was made with one of its own is left alone.
 */
export class DscpKeeper {
  readonly #libc: Libc;
  readonly #header: DataView = new DataView(new ArrayBuffer(messageAt + messageBytes));
  readonly #bytes: Uint8Array = new Uint8Array(this.#header.buffer);
  readonly #words: Uint32Array = new Uint32Array(this.#header.buffer);
  readonly #address: number;
  /** What each slot's socket marks its packets with; one that does so for all of them has a bit that no mark has. */
  readonly #marks: Uint8Array = new Uint8Array(maxSlots);

  /** `source` and `buffer` are where the sender's address and the packet go. */
  constructor(libc: Libc, source: number, buffer: number, bufferBytes: number) {
    this.#libc = libc;
    this.#address = libc.addressOf(this.#bytes);
    const pointer = (at: number, value: number): void => this.#header.setBigUint64(at, BigInt(value), true);
    pointer(nameAt, source);
    pointer(iovAt, this.#address + vectorAt);
    pointer(iovLengthAt, 1);
    pointer(controlAt, this.#address + messageAt);
    pointer(vectorAt, buffer);
    pointer(vectorAt + 8, bufferBytes);
  }

  opened(slot: number, dscp: number): void {
    this.#marks[slot] = dscp === 0 ? 0 : fixed;
  }

  /** Whether packets that are to leave by this slot's socket are to be received here. */
  keeps(slot: number): boolean {
    return this.#marks[slot] !== fixed;
  }

  /** As recvfrom; the length of the sender's address is in `sourceLength` then. */
  receive(fd: number, flags: number): number {
    this.#words[nameLengthAt >> 2] = sockaddrBytes;
    this.#words[controlLengthAt >> 2] = messageBytes;
    return this.#libc.recvmsg(fd, this.#address, flags);
  }

  get sourceLength(): number {
    return this.#words[nameLengthAt >> 2]!;
  }

  /** The packet that was received last is about to leave by this slot's socket. */
  mark(slot: number, fd: number, v6: boolean): void {
    if (this.#marks[slot] === fixed) return;
    const mark = this.#words[controlLengthAt >> 2] === 0 ? 0 : this.#bytes[valueAt]! & dscpBits;
    if (mark === this.#marks[slot]) return;
    this.#marks[slot] = mark;
    this.#words[(vectorAt + 16) >> 2] = mark;
    setTrafficClass(this.#libc, fd, v6, this.#address + vectorAt + 16);
  }
}
