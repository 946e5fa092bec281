import type { Endpoint } from '../../src/net/address.ts';
import type { LabSocket } from '../lab/lab-socket.ts';
import { ProgramError } from './process.ts';

const headerBytes = 12;
const payloadBytes = 160;
/** G.711, at its clock of 8 kHz. */
const ticksPerPacket = 160;

/** What became of a stream's packets. */
export interface Fate {
  readonly sent: number;
  /** Their numbers, and what went on when they were sent. */
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** Those that came after one that was sent later. */
  readonly overtaken: readonly string[];
}

/** RTP of one source, each packet with its number. Who sends it also counts what came at the other end. */
export class NumberedStream {
  readonly #ssrc: number;
  readonly #intervalMs: number;
  /** What goes on; it stands beside what is lost. */
  scene = '';
  readonly #scenes: string[] = [];
  /** How often each packet came. */
  readonly #arrived: number[] = [];
  readonly #overtaken: number[] = [];
  #watch: (() => void) | undefined;
  #from: LabSocket;
  #target: Endpoint | undefined;
  #came = 0;
  #highest = -1;
  #judgedFrom = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ssrc: number, from: LabSocket, intervalMs: number) {
    this.#ssrc = ssrc;
    this.#from = from;
    this.#intervalMs = intervalMs;
  }

  /** Sends on: from there, and to there from now on. */
  start(from: LabSocket = this.#from, target: Endpoint | undefined = this.#target): void {
    this.#from = from;
    this.#target = target;
    this.#timer ??= setInterval(() => this.#send(), this.#intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A packet has arrived. */
  take(packet: Buffer): void {
    const number = packet.readUInt32BE(headerBytes);
    this.#arrived[number]!++;
    this.#came++;
    if (number < this.#highest) this.#overtaken.push(number);
    this.#highest = Math.max(this.#highest, number);
    this.#watch?.();
  }

  /** What was sent until the first packet came is not judged as lost. */
  forgiveStart(): void {
    this.#judgedFrom = this.#arrived.findIndex((count) => count > 0);
  }

  /** Resolves when so many more have come. */
  async more(count: number, timeoutMs = 5000): Promise<void> {
    const wanted = this.#came + count;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      reject(new ProgramError(`${wanted - this.#came} of ${count} more packets did not come`));
    }, timeoutMs);
    this.#watch = () => this.#came >= wanted && resolve();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#watch = undefined;
    }
  }

  /** Ends it; resolves when the last packet has come, or when none has for so long. */
  async end(graceMs = 1000): Promise<Fate> {
    this.stop();
    await this.#allCame(graceMs);
    const name = (number: number): string => `${number} (${this.#scenes[number]})`;
    const numbers = [...this.#arrived.keys()];
    return {
      sent: this.#arrived.length,
      lost: numbers.filter((number) => number >= this.#judgedFrom && this.#arrived[number] === 0).map(name),
      doubled: numbers.filter((number) => this.#arrived[number]! > 1).map(name),
      overtaken: this.#overtaken.map(name),
    };
  }

  /** Stops; resolves when all that was sent has come, or when nothing more has for so long. */
  async pause(graceMs = 1000): Promise<void> {
    this.stop();
    await this.#allCame(graceMs);
  }

  async #allCame(graceMs: number): Promise<void> {
    const missing = this.#arrived.filter((count) => count === 0).length;
    if (missing > 0) await this.more(missing, graceMs).catch(() => {});
  }

  #send(): void {
    const { address, port } = this.#target!;
    const packet = Buffer.alloc(headerBytes + payloadBytes, 0xff);
    const number = this.#arrived.push(0) - 1;
    this.#scenes[number] = this.scene;
    packet.set([0x80, 0]);
    packet.writeUInt16BE(number & 0xffff, 2);
    packet.writeUInt32BE((number * ticksPerPacket) >>> 0, 4);
    packet.writeUInt32BE(this.#ssrc, 8);
    packet.writeUInt32BE(number, headerBytes);
    void this.#from.send(packet, port, address);
  }
}
