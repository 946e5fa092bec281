import { maxSlots } from './slot-table.ts';

/**
 * Which slot each slot leads to, and the way back: all that lead to one. Numbers stand one higher than they are,
 * so that memory that nobody touches costs nothing.
 */
export class SlotLinks {
  readonly #to: Uint16Array = new Uint16Array(maxSlots);
  /** For each slot: one that leads to it, and from there the next such one. */
  readonly #first: Uint16Array = new Uint16Array(maxSlots);
  readonly #next: Uint16Array = new Uint16Array(maxSlots);

  /** Where a slot leads; -1 for nowhere. */
  get(slot: number): number {
    return this.#to[slot]! - 1;
  }

  set(slot: number, peer: number): void {
    const before = this.#to[slot]! - 1;
    if (before >= 0) this.#unlist(slot, before);
    this.#to[slot] = peer + 1;
    if (peer < 0) return;
    this.#next[slot] = this.#first[peer]!;
    this.#first[peer] = slot + 1;
  }

  /** One that leads to this slot; -1 for none. */
  firstInto(slot: number): number {
    return this.#first[slot]! - 1;
  }

  #unlist(slot: number, peer: number): void {
    const next = this.#next[slot]!;
    this.#next[slot] = 0;
    if (this.#first[peer] === slot + 1) {
      this.#first[peer] = next;
      return;
    }
    let other = this.#first[peer]! - 1;
    while (this.#next[other] !== slot + 1) other = this.#next[other]! - 1;
    this.#next[other] = next;
  }
}
