import type { Libc } from '../../net/libc.ts';
import { SlotLinks } from '../slot-links.ts';
import { counter, maxSlots, remoteOffset, type SlotTable, slotBytes } from '../slot-table.ts';
import { eraseSockaddr, sockaddrBytes, writeSockaddr } from '../sockaddr.ts';
import { Bpf } from './bpf.ts';
import {
  addressDifference,
  dscpKept,
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
import { type FlowPath, FlowPaths, isRoutable } from './flow-paths.ts';
import { handOverNumbers, handOverQuality, takeBackQuality } from './flow-quality.ts';
import { KernelLinks, type KernelLinksOptions } from './kernel-links.ts';
import { PortGuards } from './port-guards.ts';
import { addressBytes } from './routes.ts';

/** What the main thread opened for the forwarder: see kernel-source.ts. */
export interface KernelData extends KernelLinksOptions {
  readonly mapFd: number;
  readonly routesFd: number;
  /** Readable when routes change. */
  readonly changesFd: number;
}

/** The counters of all flows are read once in so long. */
const harvestMs = 1000;
/** Flows read at once: packets are served in between. */
const batch = 256;
/** What could not be promoted is tried again after so long, then after twice as long, and so on. */
const firstRetryMs = 100;
const maxRetries = 7;
/** What was learned anew is not settled before this. */
const unsettledMs = 1000;

/** One arena for all that the kernel reads and writes. */
const keyStart = 0;
const flowStart = 64;
const cursorStart = flowStart + 176;
const keysStart = 256;
const flowsStart = keysStart + batch * keyBytes;
const arenaBytes = flowsStart + batch * flowBytes;

/**
 * The flows that the kernel forwards: those of sockets of which both ends are known. A flow is an exact match, so
 * everything else goes on to arrive at the socket, which stays bound: a stranger, unless his kind floods the port, a
 * new source inside the learning window, a fragment. Before a socket's remote or its peer changes, its flows are withdrawn, and its packets come
 * to the socket again. Lives in the media thread.
 */
export class KernelFlows {
  /** 1 for a slot whose packets the kernel forwards. */
  readonly carried: Uint8Array = new Uint8Array(maxSlots);
  readonly #data: KernelData;
  readonly #table: SlotTable;
  readonly #bpf: Bpf;
  readonly #links: KernelLinks;
  readonly #paths: FlowPaths;
  readonly #guards: PortGuards;
  readonly #arena: DataView = new DataView(new ArrayBuffer(arenaBytes));
  readonly #arenaAddress: number;
  readonly #keyView: DataView;
  readonly #flowView: DataView;
  readonly #remotes: Uint8Array;
  /** For each slot: the `sockaddr` that its socket is bound to. */
  readonly #locals: DataView = new DataView(new ArrayBuffer(maxSlots * sockaddrBytes));
  /** For each slot: the DSCP that its packets leave with; 0 for what they came with. */
  readonly #dscps: Uint8Array = new Uint8Array(maxSlots);
  /** For each slot that is carried: the key of its flow. */
  readonly #keys: Uint8Array = new Uint8Array(maxSlots * keyBytes);
  readonly #pathsIn: (FlowPath | undefined)[] = [];
  readonly #pathsOut: (FlowPath | undefined)[] = [];
  /** For each slot that is carried: where its packets leave. */
  readonly #leaves = new SlotLinks();
  /** For each slot that is carried: what its flow told last of packets that were too big. */
  readonly #tooBig: Uint16Array = new Uint16Array(maxSlots);
  readonly #notBefore: Float64Array = new Float64Array(maxSlots);
  readonly #retries: Uint8Array = new Uint8Array(maxSlots);
  #nextHarvestAt = 0;
  #harvesting = false;
  #harvestBegins = true;
  /** Milliseconds since the Unix epoch at nanosecond 0 of the kernel's clock. */
  #clockOffsetMs = 0;

  constructor(data: KernelData, table: SlotTable, libc: Libc, say: (sentence: string) => void) {
    this.#data = data;
    this.#table = table;
    this.#bpf = new Bpf(libc);
    this.#links = new KernelLinks(data, libc, say);
    this.#paths = new FlowPaths(libc, data.routesFd, data.changesFd, data.hook === 'xdp');
    this.#guards = new PortGuards(data.mapFd, table, libc);
    this.#arenaAddress = libc.addressOf(new Uint8Array(this.#arena.buffer));
    this.#keyView = new DataView(this.#arena.buffer, keyStart, keyBytes);
    this.#flowView = new DataView(this.#arena.buffer, flowStart, flowBytes);
    this.#remotes = new Uint8Array(table.memory);
    this.#takeOver();
  }

  opened(slot: number, address: string, port: number, dscp: number): void {
    writeSockaddr(this.#locals, slot * sockaddrBytes, { address, port });
    this.#dscps[slot] = dscp;
    this.#notBefore[slot] = 0;
    this.#retries[slot] = 0;
  }

  closed(slot: number): void {
    eraseSockaddr(this.#locals, slot * sockaddrBytes);
  }

  /** False while there is no use in `promote`: it failed, or which way packets go is being looked at. */
  mayPromote(slot: number, now: number): boolean {
    return now >= this.#notBefore[slot]! && !this.#paths.inDoubt;
  }

  /** A packet went from `slot` out by `peer`, both with a known remote: the next ones may need no socket. */
  promote(slot: number, peer: number, flags: number, now: number): void {
    if (this.#install(slot, peer, flags, now)) {
      this.#retries[slot] = 0;
      return;
    }
    this.#notBefore[slot] = now + (firstRetryMs << this.#retries[slot]!);
    if (this.#retries[slot]! < maxRetries) this.#retries[slot]!++;
  }

  /** Packets of the slot come to its socket from now on. */
  withdraw(slot: number): void {
    if (this.carried[slot] === 0) return;
    this.#take(slot);
    this.#forget(slot);
  }

  /**
   * The socket counts a packet of a carried slot itself: one of another payload type, or one that was on its way
   * to the socket when the flow began. Numbers have one writer at a time, else one of the two forgets what the
   * other counted, and calls it lost. True where the kernel waits for `resume`.
   */
  pause(slot: number): boolean {
    if (this.#take(slot)) return true;
    this.#forget(slot);
    return false;
  }

  /** The flow that `pause` took goes on from what is counted now; nothing was done here in between. */
  resume(slot: number): void {
    handOverNumbers(this.#table.values, this.#table.base(slot), this.#flowView);
    if (!this.#put(slot)) this.#forget(slot);
  }

  /** Takes the flow out of the map, and what it counted into the slot; key and flow stay in the arena. */
  #take(slot: number): boolean {
    new Uint8Array(this.#arena.buffer, keyStart).set(
      this.#keys.subarray(slot * keyBytes, (slot + 1) * keyBytes),
    );
    const { mapFd } = this.#data;
    if (!this.#bpf.take(mapFd, this.#arenaAddress + keyStart, this.#arenaAddress + flowStart)) return false;
    this.#count(flowStart);
    return true;
  }

  /** Puts the flow of the arena into the map, with nothing counted. */
  #put(slot: number): boolean {
    for (const at of [flowAt.packets, flowAt.bytes]) this.#flowView.setBigUint64(at, 0n, true);
    this.#flowView.setUint32(flowAt.aside, 0, true);
    const { values } = this.#table;
    const base = this.#table.base(slot);
    values[base + counter.takenPackets] = 0;
    values[base + counter.takenBytes] = 0;
    values[base + counter.takenAside] = 0;
    return this.#bpf.update(this.#data.mapFd, this.#arenaAddress + keyStart, this.#arenaAddress + flowStart);
  }

  #forget(slot: number): void {
    this.carried[slot] = 0;
    for (const paths of [this.#pathsIn, this.#pathsOut]) {
      const path = paths[slot];
      if (path) this.#paths.leave(path);
      paths[slot] = undefined;
    }
    this.#leaves.set(slot, -1);
  }

  /** The slot's remote is about to change: so do its packets, and those that are sent to it. */
  withdrawAround(slot: number, now = 0): void {
    this.withdraw(slot);
    this.withdrawInto(slot);
    // A remote that jumps is not settled.
    this.#notBefore[slot] = now === 0 ? 0 : now + unsettledMs;
  }

  /** Packets that leave by this slot's socket are sent by it again. */
  withdrawInto(slot: number): void {
    for (let other = this.#leaves.firstInto(slot); other >= 0; other = this.#leaves.firstInto(slot))
      this.withdraw(other);
  }

  /** Only what comes from the slot's remote of now gets as far as its socket, and with `stun` what looks like that. */
  shut(slot: number, stun: boolean): void {
    this.#guards.shut(slot, this.#local(slot), this.#remote(slot), stun);
  }

  open(slot: number): void {
    this.#guards.open(this.#local(slot));
  }

  takeChanges(): void {
    this.#paths.takeChanges();
  }

  /** Does some of what is due; true where more of it waits already. */
  work(now: number): boolean {
    if (this.#paths.inDoubt) {
      const moved = this.#paths.recheck();
      if (moved.size > 0) this.#withdrawFrom((path) => moved.has(path));
    }
    if (!this.#harvesting && now >= this.#nextHarvestAt) {
      this.#nextHarvestAt = now + harvestMs;
      this.#harvesting = true;
      this.#harvestBegins = true;
      for (const ifindex of this.#links.inspect(now)) {
        this.#withdrawFrom(({ route }) => route.ifindex === ifindex);
      }
    }
    if (this.#harvesting) this.#harvest();
    return this.#harvesting || this.#paths.inDoubt;
  }

  /** How long the thread may sleep. */
  waitMs(now: number): number {
    return Math.max(0, Math.min(harvestMs, this.#nextHarvestAt - now));
  }

  #install(slot: number, peer: number, flags: number, now: number): boolean {
    const key = this.#keyView;
    const flow = this.#flowView;
    new Uint8Array(this.#arena.buffer, keyStart, cursorStart).fill(0);
    const remote = this.#remote(slot);
    const local = this.#local(slot);
    const newSource = this.#local(peer);
    const newDestination = this.#remote(peer);
    const family = remote[0]!;
    for (const sockaddr of [remote, local, newSource, newDestination]) {
      if (sockaddr[0] !== family || !isRoutable(family, addressBytes(sockaddr, family))) return false;
    }
    const outward = this.#paths.find(
      family,
      addressBytes(newSource, family),
      addressBytes(newDestination, family),
    );
    const inward = this.#paths.find(family, addressBytes(local, family), addressBytes(remote, family));
    if (!outward || !inward) return false;
    const { route } = outward;
    if (
      !this.#links.join(
        inward.route.ifindex,
        route.ifindex,
        inward.route.interfaceName,
        route.interfaceName,
        now,
      )
    )
      return false;

    put(key, keyAt.source, addressBytes(remote, family));
    put(key, keyAt.destination, addressBytes(local, family));
    put(key, keyAt.sourcePort, remote.subarray(2, 4));
    put(key, keyAt.destinationPort, local.subarray(2, 4));
    key.setUint32(keyAt.family, family, true);
    put(flow, flowAt.source, addressBytes(newSource, family));
    put(flow, flowAt.destination, addressBytes(newDestination, family));
    put(flow, flowAt.sourcePort, newSource.subarray(2, 4));
    put(flow, flowAt.destinationPort, newDestination.subarray(2, 4));
    flow.setUint32(flowAt.owner, ownerOf(slot, this.#table.generation(slot)), true);
    flow.setUint32(flowAt.ifindex, route.ifindex, true);
    put(flow, flowAt.nextHop, route.nextHop);
    flow.setUint32(flowAt.addressDifference, addressDifference(key, flow), true);
    put(flow, flowAt.destinationMac, route.destinationMac ?? new Uint8Array(6));
    put(flow, flowAt.sourceMac, route.sourceMac);
    flow.setUint16(flowAt.maxLength, route.mtu, true);
    flow.setUint8(flowAt.flags, flags);
    flow.setUint8(flowAt.dscp, this.#dscps[peer]! || dscpKept);
    const at = this.#table.base(slot);
    const { values } = this.#table;
    if ((flags & flowFlag.tracked) !== 0) handOverQuality(values, at, flow);
    values[at + counter.seenPackets] = values[at + counter.packets]!;
    if (!this.#put(slot)) return false;
    this.#keys.set(new Uint8Array(this.#arena.buffer, keyStart, keyBytes), slot * keyBytes);
    this.carried[slot] = 1;
    this.#tooBig[slot] = 0;
    this.#paths.use(outward);
    this.#paths.use(inward);
    this.#pathsOut[slot] = outward;
    this.#pathsIn[slot] = inward;
    this.#leaves.set(slot, peer);
    return true;
  }

  /** Withdraws all that come or go by such a way. */
  #withdrawFrom(isSuch: (path: FlowPath) => boolean): void {
    for (let slot = 0; slot < this.#pathsIn.length; slot++) {
      const [inward, outward] = [this.#pathsIn[slot], this.#pathsOut[slot]];
      if ((inward && isSuch(inward)) || (outward && isSuch(outward))) this.withdraw(slot);
    }
  }

  #remote(slot: number): Uint8Array {
    const at = slot * slotBytes + remoteOffset;
    return this.#remotes.subarray(at, at + sockaddrBytes);
  }

  #local(slot: number): Uint8Array {
    return new Uint8Array(this.#locals.buffer, slot * sockaddrBytes, sockaddrBytes);
  }

  /** Reads the next counters. */
  #harvest(): void {
    if (this.#harvestBegins) this.#setClock();
    const { read, done } = this.#readBatch(this.#harvestBegins);
    this.#harvestBegins = false;
    for (let index = 0; index < read; index++) {
      const at = flowsStart + index * flowBytes;
      const came = this.#count(at);
      if (this.#isGuard(at)) continue;
      const slot = slotOf(this.#arena.getUint32(at + flowAt.owner, true));
      if (!came) this.#reconsider(slot);
      this.#doubtTooBig(slot, this.#arena.getUint16(at + flowAt.tooBig, true));
    }
    if (done) this.#harvesting = false;
  }

  #readBatch(first: boolean): { readonly read: number; readonly done: boolean } {
    const arena = this.#arenaAddress;
    return this.#bpf.lookupBatch(
      this.#data.mapFd,
      arena + cursorStart,
      first,
      arena + keysStart,
      arena + flowsStart,
      batch,
    );
  }

  #setClock(): void {
    this.#clockOffsetMs = Date.now() - Number(process.hrtime.bigint()) / 1e6;
  }

  /** Packets come, and none by the kernel: another payload type perhaps, or by another card. */
  #reconsider(slot: number): void {
    const { values } = this.#table;
    const at = this.#table.base(slot);
    if (this.carried[slot] === 1 && values[at + counter.packets] !== values[at + counter.seenPackets])
      this.withdraw(slot);
  }

  /** Routers said of packets to the slot's remote that they are too big: the kernel knows the way's MTU by now. */
  #doubtTooBig(slot: number, times: number): void {
    if (this.carried[slot] === 0 || times === this.#tooBig[slot]) return;
    this.#tooBig[slot] = times;
    const path = this.#pathsIn[slot];
    if (path) this.#paths.doubt(path);
  }

  #isGuard(at: number): boolean {
    return (this.#arena.getUint8(at + flowAt.flags) & flowFlag.guard) !== 0;
  }

  /**
   * Adds to the slot's counters what came since the last look at its flow, which lies at `at`, or its guard. False
   * where nothing came.
   */
  #count(at: number): boolean {
    const arena = this.#arena;
    if (this.#isGuard(at)) {
      this.#guards.count(arena, at);
      return true;
    }
    const owner = arena.getUint32(at + flowAt.owner, true);
    const slot = slotOf(owner);
    if (owner !== ownerOf(slot, this.#table.generation(slot))) return true;
    const { values } = this.#table;
    const base = this.#table.base(slot);
    const since = (count: number, taken: number): number => {
      const more = count - values[base + taken]!;
      values[base + taken] = count;
      return more;
    };
    const packets = since(number64(arena, at + flowAt.packets), counter.takenPackets);
    if (packets === 0) return false;
    values[base + counter.packets]! += packets;
    values[base + counter.kernelPackets]! += packets;
    values[base + counter.bytes]! += since(number64(arena, at + flowAt.bytes), counter.takenBytes);
    const aside = since(arena.getUint32(at + flowAt.aside, true), counter.takenAside);
    values[base + counter.rtp]! += packets - aside;
    const lastMs = Math.round(this.#clockOffsetMs + number64(arena, at + flowAt.lastNs) / 1e6);
    if (lastMs > values[base + counter.lastPacketAt]!) values[base + counter.lastPacketAt] = lastMs;
    values[base + counter.seenPackets] = values[base + counter.packets]!;
    if ((arena.getUint8(at + flowAt.flags) & flowFlag.tracked) !== 0)
      takeBackQuality(arena, at, values, base);
    return true;
  }

  /** Flows of a thread before this one: their packets come to the sockets again. */
  #takeOver(): void {
    this.#setClock();
    for (let last = false; !last; ) {
      const { read, done } = this.#readBatch(true);
      for (let index = 0; index < read; index++) {
        const key = this.#arenaAddress + keysStart + index * keyBytes;
        if (this.#bpf.take(this.#data.mapFd, key, this.#arenaAddress + flowStart)) this.#count(flowStart);
      }
      last = done || read === 0;
    }
  }
}
