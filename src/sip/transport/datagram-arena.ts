import { IOVEC, type Libc, MMSGHDR } from '../../net/libc.ts';

/** Node's own fast conversions, missing in its published types: latin1 is one byte for each character. */
interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, start: number, length: number): number;
}

/** Room for the longest UDP payload (65,527 bytes over IPv6), so that nothing is ever cut off. */
const SLOT_BYTES = 65536;
// Slots a whole power of two apart would all fall into the same few lines of the CPU's caches.
const SLOT_STRIDE = SLOT_BYTES + 1088;
/** A sockaddr_in6 and some air, in words. */
const NAME_WORDS = 8;

/**
 * Off-heap memory for a batch of datagrams, laid out once for recvmmsg and sendmmsg: the headers, the vector
 * and the address of each slot point at one another for good, only lengths and addresses change.
 */
export class DatagramArena {
  readonly count: number;
  /** The address of the first mmsghdr, for the system call. */
  readonly headers: number;
  readonly bytes: Buffer;
  /** All of the arena as 32-bit words: sockaddrs and lengths. */
  readonly words: Int32Array;
  readonly #buffer: Latin1Buffer;
  readonly #names: number;
  readonly #vectors: number;
  readonly #data: number;

  constructor(libc: Libc, count: number, nameLength: number) {
    this.count = count;
    this.#vectors = count * MMSGHDR.size;
    this.#names = this.#vectors + count * IOVEC.size;
    this.#data = (this.#names + count * NAME_WORDS * 4 + 63) & ~63;
    const memory = new ArrayBuffer(this.#data + count * SLOT_STRIDE);
    this.bytes = Buffer.from(memory);
    this.#buffer = this.bytes as Latin1Buffer;
    this.words = new Int32Array(memory);
    this.headers = libc.addressOf(this.bytes);
    for (let slot = 0; slot < count; slot++) {
      const header = slot * MMSGHDR.size;
      const vector = this.#vectors + slot * IOVEC.size;
      this.#pointer(header + MMSGHDR.name, this.#names + slot * NAME_WORDS * 4);
      this.words[(header + MMSGHDR.nameLength) >> 2] = nameLength;
      this.#pointer(header + MMSGHDR.iov, vector);
      this.words[(header + MMSGHDR.iovLength) >> 2] = 1;
      this.#pointer(vector + IOVEC.base, this.#data + slot * SLOT_STRIDE);
      this.words[(vector + IOVEC.length) >> 2] = SLOT_BYTES;
    }
  }

  /** How long the datagram is that was received into the slot. */
  received(slot: number): number {
    return this.words[(slot * MMSGHDR.size + MMSGHDR.length) >> 2]!;
  }

  /** Which word of `words` the sockaddr of the slot begins at. */
  name(slot: number): number {
    return (this.#names >> 2) + slot * NAME_WORDS;
  }

  /** Which byte of `bytes` the datagram of the slot begins at. */
  data(slot: number): number {
    return this.#data + slot * SLOT_STRIDE;
  }

  read(slot: number, length: number): string {
    const start = this.#data + slot * SLOT_STRIDE;
    return this.#buffer.latin1Slice(start, start + length);
  }

  /** Puts `text` into the slot for sending. */
  write(slot: number, text: string): void {
    this.#buffer.latin1Write(text, this.#data + slot * SLOT_STRIDE, text.length);
    this.words[(this.#vectors + slot * IOVEC.size + IOVEC.length) >> 2] = text.length;
  }

  /** The address of the slot's mmsghdr. */
  header(slot: number): number {
    return this.headers + slot * MMSGHDR.size;
  }

  #pointer(at: number, target: number): void {
    const view = new DataView(this.bytes.buffer);
    view.setBigUint64(at, BigInt(this.headers + target), true);
  }
}
