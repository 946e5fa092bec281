import { randomInt } from 'node:crypto';
import { MediaError } from './media-error.ts';

/** UDP ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Left to others by common agreement: neither RTP nor RTCP is put there. */
const leftOut = 65_330;

/**
 * Pairs of ports for one bound address: RTP on the even one, RTCP on the odd one beside it (RFC 3550 11). The
 * pairs wait in a queue that is shuffled once: a pair that was given back comes last, so that late packets of
 * one call do not end in the next, and nobody outside can guess which port follows (RFC 7362 6, RTP bleed).
 */
export class PortPool {
  readonly #queue: Uint16Array;
  #head = 0;
  #free: number;

  constructor(range: PortRange, random: (below: number) => number = (below) => randomInt(below)) {
    const pairs: number[] = [];
    for (let port = range.from + (range.from % 2); port + 1 <= range.to; port += 2) {
      if (port !== leftOut && port + 1 !== leftOut) pairs.push(port);
    }
    if (range.from < 1024 || range.to > 65_535 || pairs.length === 0) {
      throw new MediaError(
        'media.port-range',
        `The media ports ${range.from}-${range.to} hold no pair of ports between 1024 and 65535; write for example 10000-20000.`,
      );
    }
    for (let i = pairs.length - 1; i > 0; i--) {
      const j = random(i + 1);
      [pairs[i], pairs[j]] = [pairs[j]!, pairs[i]!];
    }
    this.#queue = Uint16Array.from(pairs);
    this.#free = pairs.length;
  }

  /** How many pairs can still be taken. */
  get free(): number {
    return this.#free;
  }

  /** The even port of a pair, or undefined where none is left. */
  take(): number | undefined {
    if (this.#free === 0) return undefined;
    const port = this.#queue[this.#head]!;
    this.#head = (this.#head + 1) % this.#queue.length;
    this.#free--;
    return port;
  }

  /** Takes this very pair; false where it is not free. */
  takeExactly(port: number): boolean {
    const queue = this.#queue;
    const { length } = queue;
    for (let n = 0; n < this.#free; n++) {
      const at = (this.#head + n) % length;
      if (queue[at] !== port) continue;
      // The one whose turn it is waits in its place.
      queue[at] = queue[this.#head]!;
      queue[this.#head] = port;
      this.take();
      return true;
    }
    return false;
  }

  /** Puts a pair back, at the end of the queue; also one that somebody else turned out to hold. */
  giveBack(port: number): void {
    if (this.#free === this.#queue.length) throw new RangeError(`port ${port} was given back twice`);
    this.#queue[(this.#head + this.#free) % this.#queue.length] = port;
    this.#free++;
  }
}
