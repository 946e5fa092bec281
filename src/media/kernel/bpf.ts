import { CloudsipError } from '../../error.ts';
import { errorName, type Libc } from '../../net/libc.ts';

/** bpf(2) said no; `errno` is the name of its error, the message holds what the verifier said. */
export class BpfError extends CloudsipError {
  readonly errno: string;

  constructor(errno: string, message: string) {
    super('BPF_REFUSED', message);
    this.errno = errno;
  }
}

/** enum bpf_cmd */
const command = {
  mapCreate: 0,
  lookup: 1,
  update: 2,
  delete: 3,
  programLoad: 5,
  lookupAndDelete: 21,
  informationByFd: 15,
  lookupBatch: 24,
  linkCreate: 28,
} as const;

/** Where a program stands: TCX at ingress (kernel 6.6), or XDP. */
export type Hook = 'tcx' | 'xdp';

/** BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_XDP */
const programType = { tcx: 3, xdp: 6 } as const;
/** BPF_TCX_INGRESS, BPF_XDP */
const attachType = { tcx: 46, xdp: 37 } as const;
/** Flags of a link: XDP behind the driver, or inside it. */
export const linkFlag = { none: 0, generic: 2, native: 4 } as const;

const mapTypeHash = 1;
/** Memory is taken for elements that exist only. */
const noPreallocation = 1;
const verifierLogBytes = 65_536;
const attributeBytes = 128;
/** The verifier begins from the start so many times before it is given up. */
const maxInterruptions = 5;
/** The mark of an instruction of two slots that loads 64 bits, and of one whose 64 bits are a map. */
const loadImmediate64 = 0x18;
const pseudoMapFd = 1;
const instructionBytes = 8;

export interface BpfProgram {
  readonly instructions: Uint8Array;
  /** Which instructions refer to the map. */
  readonly mapReferences: readonly number[];
}

/** The calls of bpf(2) that a forwarder needs. One for each thread: its memory is written in every call. */
export class Bpf {
  readonly #libc: Libc;
  readonly #memory = new ArrayBuffer(attributeBytes);
  readonly #attributes = new DataView(this.#memory);
  readonly #address: number;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#address = libc.addressOf(new Uint8Array(this.#memory));
  }

  createHashMap(name: string, keyBytes: number, valueBytes: number, maxEntries: number): number {
    const attributes = this.#clear();
    [mapTypeHash, keyBytes, valueBytes, maxEntries, noPreallocation].forEach((value, index) => {
      attributes.setUint32(4 * index, value, true);
    });
    this.#name(28, name);
    return this.#call(command.mapCreate, 72, `the map ${name} cannot be made`);
  }

  /** Loads a program; the error carries what the verifier said. */
  loadProgram(name: string, hook: Hook, program: BpfProgram, mapFd: number): number {
    const code = new Uint8Array(new ArrayBuffer(program.instructions.length));
    code.set(program.instructions);
    const view = new DataView(code.buffer);
    for (const index of program.mapReferences) {
      const at = index * instructionBytes;
      if (code[at] !== loadImmediate64) throw new RangeError(`instruction ${index} refers to no map`);
      code[at + 1] = (code[at + 1]! & 0x0f) | (pseudoMapFd << 4);
      view.setInt32(at + 4, mapFd, true);
    }
    const license = new Uint8Array(new ArrayBuffer(32));
    license.set(new TextEncoder().encode('Apache-2.0'));
    const load = (log: Uint8Array | undefined, interruptions = 0): number => {
      const attributes = this.#clear();
      attributes.setUint32(0, programType[hook], true);
      attributes.setUint32(4, code.length / instructionBytes, true);
      this.#pointer(8, code);
      this.#pointer(16, license);
      if (log) {
        attributes.setUint32(24, 1, true);
        attributes.setUint32(28, log.length, true);
        this.#pointer(32, log);
      }
      this.#name(48, name);
      attributes.setUint32(68, attachType[hook], true);
      const fd = this.#libc.bpf(command.programLoad, this.#address, 72);
      if (fd >= 0) return fd;
      const errno = errorName(this.#libc);
      // A signal came while the verifier was at work.
      if (errno === 'EAGAIN' && interruptions < maxInterruptions) return load(log, interruptions + 1);
      if (!log && errno !== 'EPERM') return load(new Uint8Array(new ArrayBuffer(verifierLogBytes)));
      throw new BpfError(errno, `the program ${name} cannot be loaded: ${errno}${log ? lastWords(log) : ''}`);
    };
    // Writing the log costs more than the check itself: it is asked for only when there is something to read.
    return load(undefined);
  }

  /** Attaches a program to an interface for as long as the descriptor is open. */
  createLink(programFd: number, ifindex: number, hook: Hook, flags: number): number {
    const attributes = this.#clear();
    [programFd, ifindex, attachType[hook], flags].forEach((value, index) => {
      attributes.setUint32(4 * index, value, true);
    });
    return this.#call(command.linkCreate, 64, `interface ${ifindex} takes no program`);
  }

  /** The interface that a link stands on; 0 once it was detached by somebody else or the interface is gone. */
  linkedInterface(linkFd: number): number {
    const information = new DataView(new ArrayBuffer(64));
    const attributes = this.#clear();
    attributes.setUint32(0, linkFd, true);
    attributes.setUint32(4, information.byteLength, true);
    this.#pointer(8, new Uint8Array(information.buffer));
    this.#call(command.informationByFd, 16, `the link ${linkFd} cannot be looked at`);
    // struct bpf_link_info: type, id, program, padding, then what belongs to the type: for both, the interface.
    return information.getUint32(16, true);
  }

  /** `key` and `value` are addresses in memory, here and below. False where the map is full or memory short. */
  update(mapFd: number, key: number, value: number): boolean {
    this.#element(mapFd, key, value);
    return this.#libc.bpf(command.update, this.#address, 32) >= 0;
  }

  /** Deletes an element and gives its last value; false where there is none. */
  take(mapFd: number, key: number, value: number): boolean {
    this.#element(mapFd, key, value);
    if (this.#libc.bpf(command.lookupAndDelete, this.#address, 32) >= 0) return true;
    if (errorName(this.#libc) === 'ENOENT') return false;
    // Before kernel 5.14 that is two calls.
    if (this.#libc.bpf(command.lookup, this.#address, 32) < 0) return false;
    return this.#libc.bpf(command.delete, this.#address, 32) >= 0;
  }

  /**
   * Reads up to `count` elements of a hash map from where `cursor` (4 bytes in memory) points, and moves it on.
   * `done` where these were the last.
   */
  lookupBatch(
    mapFd: number,
    cursor: number,
    first: boolean,
    keys: number,
    values: number,
    count: number,
  ): { readonly read: number; readonly done: boolean } {
    const attributes = this.#clear();
    attributes.setBigUint64(0, first ? 0n : BigInt(cursor), true);
    attributes.setBigUint64(8, BigInt(cursor), true);
    attributes.setBigUint64(16, BigInt(keys), true);
    attributes.setBigUint64(24, BigInt(values), true);
    attributes.setUint32(32, count, true);
    attributes.setUint32(36, mapFd, true);
    const done = this.#libc.bpf(command.lookupBatch, this.#address, 56) < 0;
    if (done) {
      const errno = errorName(this.#libc);
      // ENOENT is the end of the map, with the last elements.
      if (errno !== 'ENOENT') throw new BpfError(errno, `the map cannot be read: ${errno}`);
    }
    return { read: attributes.getUint32(32, true), done };
  }

  #element(mapFd: number, key: number, value: number): void {
    const attributes = this.#attributes;
    attributes.setBigUint64(0, BigInt(mapFd), true);
    attributes.setBigUint64(8, BigInt(key), true);
    attributes.setBigUint64(16, BigInt(value), true);
    attributes.setBigUint64(24, 0n, true);
  }

  #clear(): DataView {
    new Uint8Array(this.#memory).fill(0);
    return this.#attributes;
  }

  #pointer(at: number, bytes: Uint8Array): void {
    this.#attributes.setBigUint64(at, BigInt(this.#libc.addressOf(bytes)), true);
  }

  /** At most 15 characters, as the kernel wants it. */
  #name(at: number, name: string): void {
    new Uint8Array(this.#memory).set(new TextEncoder().encode(name).subarray(0, 15), at);
  }

  #call(number: number, size: number, failure: string): number {
    const result = this.#libc.bpf(number, this.#address, size);
    if (result >= 0) return result;
    const errno = errorName(this.#libc);
    throw new BpfError(errno, `${failure}: ${errno}`);
  }
}

/** The end of the verifier's log, where it says what it objects to. */
function lastWords(log: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(log.subarray(0, log.indexOf(0))).trim();
  return text && `; the verifier said: ${text.split('\n').slice(-12).join(' | ')}`;
}
