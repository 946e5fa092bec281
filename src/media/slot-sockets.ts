import type { PacketKinds } from './rtp-statistics.ts';
import { maxSlots } from './slot-table.ts';

/**
 * All that is needed to open the socket of each slot again in a new forwarder, in arrays by slot. Numbers stand one
 * higher than they are, so that memory that nobody touches costs nothing.
 */
export class SlotSockets {
  readonly #open: Uint8Array = new Uint8Array(maxSlots);
  readonly #fds: Int32Array = new Int32Array(maxSlots);
  readonly #ports: Uint16Array = new Uint16Array(maxSlots);
  readonly #dscps: Uint8Array = new Uint8Array(maxSlots);
  /** Of `latchBit`: aimed, learning, muted, rtp, checked, moving. */
  readonly #flags: Uint16Array = new Uint16Array(maxSlots);
  /** The slot of the RTP that this is the RTCP of. */
  readonly #beside: Uint16Array = new Uint16Array(maxSlots);
  readonly #addresses: string[] = [];
  readonly #kinds: (PacketKinds | undefined)[] = [];
  readonly #signalling: (string | undefined)[] = [];

  /** One more than the highest slot that ever was open. */
  get length(): number {
    return this.#addresses.length;
  }

  open(slot: number, fd: number, address: string, port: number, dscp: number, flags: number): void {
    this.#open[slot] = 1;
    this.#fds[slot] = fd + 1;
    this.#ports[slot] = port;
    this.#dscps[slot] = dscp;
    this.#flags[slot] = flags;
    this.#beside[slot] = 0;
    this.#addresses[slot] = address;
    this.#kinds[slot] = undefined;
    this.#signalling[slot] = undefined;
  }

  close(slot: number): void {
    this.#open[slot] = 0;
    this.#addresses[slot] = '';
    this.#kinds[slot] = undefined;
    this.#signalling[slot] = undefined;
  }

  isOpen(slot: number): boolean {
    return this.#open[slot] === 1;
  }

  /** Throws where there is no socket in the slot. */
  check(slot: number): void {
    if (this.#open[slot] !== 1) throw new RangeError(`no socket in slot ${slot}`);
  }

  /** Those that are open. */
  *slots(): Iterable<number> {
    for (let slot = 0; slot < this.length; slot++) if (this.#open[slot] === 1) yield slot;
  }

  fd(slot: number): number {
    this.check(slot);
    return this.#fds[slot]! - 1;
  }

  address(slot: number): string {
    return this.#addresses[slot]!;
  }

  port(slot: number): number {
    return this.#ports[slot]!;
  }

  /** What its packets leave with; 0 for what they came with. */
  dscp(slot: number): number {
    return this.#dscps[slot]!;
  }

  /** The same port of another address. */
  move(slot: number, fd: number, address: string): void {
    this.check(slot);
    this.#fds[slot] = fd + 1;
    this.#addresses[slot] = address;
  }

  has(slot: number, bits: number): boolean {
    this.check(slot);
    return (this.#flags[slot]! & bits) !== 0;
  }

  mark(slot: number, bits: number, set: boolean): void {
    this.check(slot);
    if (set) this.#flags[slot]! |= bits;
    else this.#flags[slot]! &= ~bits;
  }

  /** Where the side's SIP comes from, and the slot of the RTP that this is the RTCP of, or -1. */
  aim(slot: number, signalling: string | undefined, beside: number): void {
    this.#signalling[slot] = signalling;
    this.#beside[slot] = beside + 1;
  }

  expect(slot: number, signalling: string): void {
    this.#signalling[slot] = signalling;
  }

  signalling(slot: number): string | undefined {
    return this.#signalling[slot];
  }

  beside(slot: number): number {
    return this.#beside[slot]! - 1;
  }

  kinds(slot: number): PacketKinds | undefined {
    this.check(slot);
    return this.#kinds[slot];
  }

  setKinds(slot: number, kinds: PacketKinds): void {
    this.#kinds[slot] = kinds;
  }
}
