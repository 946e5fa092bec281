import type { PacketKinds } from './rtp-statistics.ts';
import { maxSlots } from './slot-table.ts';

/** A slot is free, has a socket, or remembers all that it needs to go on with one. */
const slotState = { free: 0, bound: 1, unbound: 2 } as const;

/**
 * All that is needed to open the socket of each slot again in a new forwarder, in arrays by slot. Numbers stand one
 * higher than they are, so that memory that nobody touches costs nothing.
 */
export class SlotSockets {
  readonly #state: Uint8Array = new Uint8Array(maxSlots);
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
    this.#state[slot] = slotState.bound;
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
    this.#state[slot] = slotState.free;
    this.#addresses[slot] = '';
    this.#kinds[slot] = undefined;
    this.#signalling[slot] = undefined;
  }

  isOpen(slot: number): boolean {
    return this.#state[slot] !== slotState.free;
  }

  /** It has a socket at the moment. */
  isBound(slot: number): boolean {
    return this.#state[slot] === slotState.bound;
  }

  /** Throws where the slot is nobody's. */
  check(slot: number): void {
    if (!this.isOpen(slot)) throw new RangeError(`no socket in slot ${slot}`);
  }

  /** Those that are open. */
  *slots(): Iterable<number> {
    for (let slot = 0; slot < this.length; slot++) if (this.isOpen(slot)) yield slot;
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

  /** The same port, of another address perhaps, by another socket. */
  bind(slot: number, fd: number, address: string): void {
    this.check(slot);
    this.#state[slot] = slotState.bound;
    this.#fds[slot] = fd + 1;
    this.#addresses[slot] = address;
  }

  /** Without a socket from now on, at the same port of this address. */
  unbind(slot: number, address: string): void {
    this.check(slot);
    this.#state[slot] = slotState.unbound;
    this.#fds[slot] = 0;
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
