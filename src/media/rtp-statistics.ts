import type { SlotTable } from './slot-table.ts';
import { lostNow, quality } from './stream-quality.ts';

/** What a socket's SDP says of its packets. */
export interface PacketKinds {
  /** Sequence numbers and time stamps are those of one source: not so where several streams share a port. */
  readonly tracked: boolean;
  /** RTCP can be read: not so where it is encrypted (RFC 3711). */
  readonly reports: boolean;
  /** Clock rates in Hz by payload type; 0 for a type whose packets are of another source, as RTX (RFC 4588). */
  readonly rates: ReadonlyMap<number, number>;
}

/** Rates of the static payload types (RFC 3551 6), where they are not 8000. */
const staticRates: ReadonlyMap<number, number> = new Map([
  [6, 16_000],
  [10, 44_100],
  [11, 44_100],
  [14, 90_000],
  [16, 11_025],
  [17, 22_050],
  ...[25, 26, 28, 31, 32, 33, 34].map((type) => [type, 90_000] as const),
]);

/** A gap that is no loss any more but a new beginning, and how late a packet may come (RFC 3550 A.1). */
const maxGap = 3000;
const maxLate = 100;
const maxRttMs = 60_000;
/** RTCP packets in one datagram. */
const maxCompound = 8;
const maxSame = 256;

/**
 * Reads the headers of RTP and RTCP on their way through (RFC 3550 6.4.1, A.1, A.8). Nothing is allocated for a
 * packet: all that is remembered lies in the socket's slot, where the main thread reads it.
 */
export class RtpStatistics {
  readonly #values: Float64Array;
  readonly #table: SlotTable;
  readonly #kinds: (PacketKinds | undefined)[] = [];
  /** Most calls say the same: it is kept once. */
  readonly #same = new Map<string, PacketKinds>();

  constructor(table: SlotTable) {
    this.#table = table;
    this.#values = table.values;
  }

  /** Undefined where nothing is known: then nothing is read. */
  set(slot: number, kinds: PacketKinds | undefined): void {
    this.#kinds[slot] = kinds && this.#shared(kinds);
    const at = this.#table.base(slot);
    this.#values[at + quality.payloadType] = -1;
    if (this.#values[at + quality.reports] === 0) this.#values[at + quality.rttMs] = -1;
  }

  #shared(kinds: PacketKinds): PacketKinds {
    const name = `${kinds.tracked} ${kinds.reports} ${[...kinds.rates].join(' ')}`;
    const known = this.#same.get(name);
    if (known) return known;
    // What endpoints write into SDP is theirs to choose: nobody fills this.
    if (this.#same.size >= maxSame) this.#same.clear();
    this.#same.set(name, kinds);
    return kinds;
  }

  kinds(slot: number): PacketKinds | undefined {
    return this.#kinds[slot];
  }

  /** True for a packet of RTP that its stream's numbers count. */
  counts(slot: number, packet: Uint8Array, size: number): boolean {
    const kinds = this.#kinds[slot];
    if (!kinds?.tracked || size < 12 || packet[0]! >> 6 !== 2) return false;
    return kinds.rates.get(packet[1]! & 0x7f) !== 0;
  }

  rtp(slot: number, packet: Uint8Array, size: number, nowMs: number): void {
    const kinds = this.#kinds[slot];
    if (!kinds?.tracked || size < 12 || packet[0]! >> 6 !== 2) return;
    const v = this.#values;
    const at = this.#table.base(slot);
    const type = packet[1]! & 0x7f;
    if (v[at + quality.payloadType] !== type) {
      const rate = kinds.rates.get(type) ?? (type < 96 ? (staticRates.get(type) ?? 8000) : -1);
      if (rate === 0) return;
      v[at + quality.payloadType] = type;
      v[at + quality.clockRate] = rate;
      v[at + quality.transit] = Number.NaN;
    }
    const ssrc = ((packet[8]! << 24) | (packet[9]! << 16) | (packet[10]! << 8) | packet[11]!) >>> 0;
    const sequence = (packet[2]! << 8) | packet[3]!;
    if (v[at + quality.sourcePackets] === 0 || v[at + quality.ssrc] !== ssrc) {
      if (v[at + quality.sourcePackets]! > 0) v[at + quality.ssrcChanges]!++;
      v[at + quality.ssrc] = ssrc;
      this.#restart(at, sequence);
    } else {
      const highest = v[at + quality.highestSequence]!;
      const ahead = (sequence - highest) & 0xffff;
      if (ahead === 0) {
        v[at + quality.duplicates]!++;
        return;
      }
      if (ahead < maxGap) {
        v[at + quality.highestSequence] = highest + ahead;
        v[at + quality.sourcePackets]!++;
      } else if (ahead > 0x10000 - maxLate) {
        v[at + quality.sourcePackets]!++;
        v[at + quality.reordered]!++;
        return;
      } else this.#restart(at, sequence);
    }
    const rate = v[at + quality.clockRate]!;
    if (rate <= 0) return;
    const stamp = ((packet[4]! << 24) | (packet[5]! << 16) | (packet[6]! << 8) | packet[7]!) >>> 0;
    const transit = nowMs - (stamp * 1000) / rate;
    const moved = Math.abs(transit - v[at + quality.transit]!);
    v[at + quality.transit] = transit;
    // The time stamp wraps after 2^32 ticks; a pause with a new offset is no jitter either.
    if (moved < 10_000) v[at + quality.jitterMs]! += (moved - v[at + quality.jitterMs]!) / 16;
  }

  /** `peer` is the slot that the packet leaves from: where the reports of the other side come in. */
  rtcp(slot: number, peer: number, packet: Uint8Array, size: number, nowMs: number): void {
    if (!this.#kinds[slot]?.reports) return;
    const v = this.#values;
    const at = this.#table.base(slot);
    let start = 0;
    for (let n = 0; n < maxCompound && start + 8 <= size; n++) {
      if (packet[start]! >> 6 !== 2) return;
      const end = start + 4 + 4 * ((packet[start + 2]! << 8) | packet[start + 3]!);
      if (end > size) return;
      const type = packet[start + 1]!;
      let blocks = start + 8;
      if (type === 200 && end - start >= 28) {
        v[at + quality.reportId] = u32(packet, start + 10);
        v[at + quality.reportAt] = nowMs;
        blocks = start + 28;
      }
      if ((type === 200 || type === 201) && (packet[start]! & 0x1f) > 0 && blocks + 24 <= end) {
        v[at + quality.reportedFraction] = packet[blocks + 4]! / 256;
        v[at + quality.reportedLost] =
          ((packet[blocks + 5]! << 24) | (packet[blocks + 6]! << 16) | (packet[blocks + 7]! << 8)) >> 8;
        v[at + quality.reports]!++;
        const last = u32(packet, blocks + 16);
        if (last !== 0 && peer >= 0) {
          const other = this.#table.base(peer);
          const round = nowMs - v[other + quality.reportAt]! - (u32(packet, blocks + 20) * 1000) / 65_536;
          // Only of the latest report: the one before is forgotten.
          if (v[other + quality.reportId] === last && round > -5 && round < maxRttMs)
            v[at + quality.rttMs] = Math.max(0, round);
        }
      }
      start = end;
    }
  }

  #restart(at: number, sequence: number): void {
    const v = this.#values;
    if (v[at + quality.sourcePackets]! > 0) {
      v[at + quality.lostBefore]! += Math.max(0, lostNow(v, at));
      v[at + quality.receivedBefore]! += v[at + quality.sourcePackets]!;
    }
    v[at + quality.firstSequence] = sequence;
    v[at + quality.highestSequence] = sequence;
    v[at + quality.sourcePackets] = 1;
    v[at + quality.transit] = Number.NaN;
  }
}

function u32(packet: Uint8Array, at: number): number {
  return ((packet[at]! << 24) | (packet[at + 1]! << 16) | (packet[at + 2]! << 8) | packet[at + 3]!) >>> 0;
}
