import { familyOf, normalizeHost } from '../net/address.ts';
import { maxSlots, type SlotTable } from './slot-table.ts';
import { eraseSockaddr, readSockaddr, sockaddrBytes, writeSockaddr } from './sockaddr.ts';
import type { ExpectedSource } from './source-rank.ts';

/**
 * Where the packets of each slot should come from. Kept as bytes, and made an object for the few packets that ask:
 * what thousands of calls have said is no work for the garbage collector then.
 */
export class ExpectedSources {
  readonly #described: DataView = new DataView(new ArrayBuffer(maxSlots * sockaddrBytes));
  readonly #signalling: DataView = new DataView(new ArrayBuffer(maxSlots * sockaddrBytes));
  /** One more than the slot of the RTP that this is the RTCP of; 0 for none. */
  readonly #beside: Uint16Array = new Uint16Array(maxSlots);

  /** `address` is '' and `beside` -1 where there is none. */
  set(slot: number, address: string, port: number, signalling: string | undefined, beside: number): void {
    put(this.#described, slot, address, port);
    put(this.#signalling, slot, signalling ?? '', 0);
    this.#beside[slot] = beside + 1;
  }

  setSignalling(slot: number, signalling: string): void {
    put(this.#signalling, slot, signalling, 0);
  }

  forget(slot: number): void {
    this.set(slot, '', 0, undefined, -1);
  }

  /** The slot of the RTP that this is the RTCP of; -1 for none. */
  besideOf(slot: number): number {
    return this.#beside[slot]! - 1;
  }

  of(slot: number, table: SlotTable): ExpectedSource {
    const beside = this.besideOf(slot);
    return {
      described: readSockaddr(this.#described, slot * sockaddrBytes),
      signalling: readSockaddr(this.#signalling, slot * sockaddrBytes)?.address,
      beside: beside < 0 ? undefined : () => table.remote(beside)?.address,
    };
  }
}

/** Memory of slots that have nothing to remember stays untouched. A name instead of an address fits no packet. */
function put(view: DataView, slot: number, address: string, port: number): void {
  const at = slot * sockaddrBytes;
  if (familyOf(address) !== undefined) writeSockaddr(view, at, { address: normalizeHost(address), port });
  else if (view.getUint16(at) !== 0) eraseSockaddr(view, at);
}
