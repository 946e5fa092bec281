import type { Libc } from '../../net/libc.ts';
import { counter, type SlotTable } from '../slot-table.ts';
import { Bpf } from './bpf.ts';
import {
  flowAt,
  flowBytes,
  flowFlag,
  keyAt,
  keyBytes,
  number64,
  ownerOf,
  put,
  slotOf,
} from './flow-layout.ts';
import { addressBytes } from './routes.ts';

/** Where the flow begins in memory, behind its key. */
const flowStart = 64;

/**
 * Ports at which the program drops all but the packets of one source, where they come in: elements of the same map
 * as flows, of any source by their key. They know nothing of flows, which come and go beside them.
 */
export class PortGuards {
  readonly #mapFd: number;
  readonly #table: SlotTable;
  readonly #bpf: Bpf;
  readonly #memory: DataView = new DataView(new ArrayBuffer(flowStart + flowBytes));
  readonly #address: number;

  constructor(mapFd: number, table: SlotTable, libc: Libc) {
    this.#mapFd = mapFd;
    this.#table = table;
    this.#bpf = new Bpf(libc);
    this.#address = libc.addressOf(new Uint8Array(this.#memory.buffer));
  }

  /** `local` and `remote` are a `sockaddr` each; with `stun` what looks like that gets in as well. */
  shut(slot: number, local: Uint8Array, remote: Uint8Array, stun: boolean): void {
    const family = local[0]!;
    this.#writeKey(local, family);
    const flow = new DataView(this.#memory.buffer, flowStart);
    put(flow, flowAt.source, addressBytes(remote, family));
    put(flow, flowAt.sourcePort, remote.subarray(2, 4));
    flow.setUint32(flowAt.owner, ownerOf(slot, this.#table.generation(slot)), true);
    flow.setUint8(flowAt.flags, flowFlag.guard | (stun ? flowFlag.stun : 0));
    this.#table.values[this.#table.base(slot) + counter.takenStrangers] = 0;
    this.#bpf.update(this.#mapFd, this.#address, this.#address + flowStart);
  }

  open(local: Uint8Array): void {
    this.#writeKey(local, local[0]!);
    if (this.#bpf.take(this.#mapFd, this.#address, this.#address + flowStart))
      this.count(this.#memory, flowStart);
  }

  /** Adds to the slot's counters what was dropped since the last look at its guard, which lies at `at`. */
  count(memory: DataView, at: number): void {
    const owner = memory.getUint32(at + flowAt.owner, true);
    const slot = slotOf(owner);
    if (owner !== ownerOf(slot, this.#table.generation(slot))) return;
    const { values } = this.#table;
    const base = this.#table.base(slot);
    const dropped = number64(memory, at + flowAt.packets);
    values[base + counter.strangers]! += dropped - values[base + counter.takenStrangers]!;
    values[base + counter.takenStrangers] = dropped;
  }

  #writeKey(local: Uint8Array, family: number): void {
    new Uint8Array(this.#memory.buffer).fill(0);
    const key = new DataView(this.#memory.buffer, 0, keyBytes);
    put(key, keyAt.destination, addressBytes(local, family));
    put(key, keyAt.destinationPort, local.subarray(2, 4));
    key.setUint32(keyAt.family, family, true);
  }
}
