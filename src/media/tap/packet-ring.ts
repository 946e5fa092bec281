import { sockaddrBytes } from '../sockaddr.ts';

/** A second of some hundred calls; pages that nobody writes to cost nothing. A power of two. */
const defaultBytes = 4 * 1024 * 1024;

/** Words before the packets: written by the media thread but for the second. */
const headWord = 0;
const tailWord = 1;
const droppedWord = 2;
const controlBytes = 64;

/** Positions in a record. */
const sizeAt = 0;
const slotAt = 4;
const timeAt = 8;
const generationAt = 16;
const sourceAt = 24;
const packetAt = sourceAt + sockaddrBytes;
/** Instead of a size: the next record is at the beginning. */
const wraps = 0xffff_ffff;

/** A packet as it lies in the ring: good until the handler returns. */
export interface TappedPacket {
  readonly slot: number;
  /** Which owner of the slot it came for. */
  readonly generation: number;
  /** By `monotonicMs`. */
  readonly timeMs: number;
  /** Where its source lies in `view`, as a `sockaddr`. */
  readonly view: DataView;
  readonly sourceAt: number;
  readonly bytes: Uint8Array;
}

/**
 * Copies of packets on their way from the media thread to the one that looks at them: one writes, one reads, neither
 * waits for the other. Where the reader is slow, packets are dropped here and counted.
 */
export class PacketRing {
  readonly memory: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #size: number;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(controlBytes + defaultBytes)) {
    this.memory = memory;
    this.#control = new Int32Array(memory, 0, controlBytes / 4);
    this.#size = memory.byteLength - controlBytes;
    this.#view = new DataView(memory, controlBytes);
    this.#bytes = new Uint8Array(memory, controlBytes);
  }

  /** Packets that found no room. */
  get dropped(): number {
    return Atomics.load(this.#control, droppedWord);
  }

  /** Copies a packet, and its source, a `sockaddr` at `sourceStart` of `source`. For the one writer. */
  write(
    slot: number,
    generation: number,
    timeMs: number,
    source: Uint8Array,
    sourceStart: number,
    packet: Uint8Array,
    size: number,
  ): void {
    const head = Atomics.load(this.#control, headWord);
    const used = (head - Atomics.load(this.#control, tailWord)) >>> 0;
    const length = (packetAt + size + 7) & ~7;
    let at = (head >>> 0) % this.#size;
    const rest = this.#size - at;
    const needed = rest < length ? rest + length : length;
    // A full ring would look like an empty one.
    if (needed >= this.#size - used) {
      Atomics.add(this.#control, droppedWord, 1);
      return;
    }
    if (rest < length) {
      this.#view.setUint32(at + sizeAt, wraps, true);
      at = 0;
    }
    this.#view.setUint32(at + sizeAt, size, true);
    this.#view.setUint32(at + slotAt, slot, true);
    this.#view.setFloat64(at + timeAt, timeMs, true);
    this.#view.setUint32(at + generationAt, generation, true);
    for (let i = 0; i < sockaddrBytes; i++) this.#bytes[at + sourceAt + i] = source[sourceStart + i]!;
    this.#bytes.set(packet.subarray(0, size), at + packetAt);
    Atomics.store(this.#control, headWord, (head + needed) | 0);
  }

  /** Where the writer is: what `read` is told to read up to. */
  get head(): number {
    return Atomics.load(this.#control, headWord);
  }

  /** Hands over what lies before `head`, in order. For the one reader. */
  read(head: number, handle: (packet: TappedPacket) => void): void {
    let tail = Atomics.load(this.#control, tailWord);
    while (((head - tail) | 0) > 0) {
      const at = (tail >>> 0) % this.#size;
      const size = this.#view.getUint32(at + sizeAt, true);
      if (size === wraps) {
        tail = (tail + this.#size - at) | 0;
      } else {
        handle({
          slot: this.#view.getUint32(at + slotAt, true),
          generation: this.#view.getUint32(at + generationAt, true),
          timeMs: this.#view.getFloat64(at + timeAt, true),
          view: this.#view,
          sourceAt: at + sourceAt,
          bytes: this.#bytes.subarray(at + packetAt, at + packetAt + size),
        });
        tail = (tail + ((packetAt + size + 7) & ~7)) | 0;
      }
      Atomics.store(this.#control, tailWord, tail);
    }
  }
}
