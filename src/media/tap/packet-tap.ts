import { monotonicOf } from '../../net/monotonic.ts';
import type { SlotTable } from '../slot-table.ts';
import { PacketRing } from './packet-ring.ts';

/** The media thread's side of the ring: which packets of a socket are copied. */
export class PacketTap {
  readonly #table: SlotTable;
  readonly #types: (readonly number[] | undefined)[] = [];
  #ring: PacketRing | undefined;

  constructor(table: SlotTable) {
    this.#table = table;
  }

  useRing(memory: SharedArrayBuffer): void {
    this.#ring = new PacketRing(memory);
  }

  /** All where no payload type is named; undefined for none. */
  set(slot: number, types: readonly number[] | undefined): void {
    this.#types[slot] = types;
  }

  /** `nowMs` by this thread's `performance`; `source` has a `sockaddr` at `sourceAt`. */
  copy(
    slot: number,
    nowMs: number,
    source: Uint8Array,
    sourceAt: number,
    packet: Uint8Array,
    size: number,
  ): void {
    const types = this.#types[slot];
    if (!types || !this.#ring) return;
    if (types.length > 0 && !types.includes(packet[1]! & 0x7f)) return;
    this.#ring.write(slot, this.#table.generation(slot), monotonicOf(nowMs), source, sourceAt, packet, size);
  }
}
