import type { Endpoint, Family } from '../../net/address.ts';
import { addressAt, portOf, sockaddrWords } from '../../net/sockaddr.ts';

const SLOTS = 8192;
const KEY_WORDS = 8;
const MAX_DESTINATIONS = 8192;

/**
 * Remembers the Endpoint of each source, and the sockaddr of each destination, so that no text is made or
 * parsed for a peer that was heard or told lately. Both sides are bounded: strangers push each other out.
 */
export class PeerCache {
  readonly #family: Family;
  readonly #addressWords: number;
  readonly #keys = new Int32Array(SLOTS * KEY_WORDS);
  readonly #endpoints: (Endpoint | undefined)[] = new Array<Endpoint | undefined>(SLOTS).fill(undefined);
  readonly #destinations = new Map<string, Int32Array | undefined>();

  constructor(family: Family) {
    this.#family = family;
    this.#addressWords = family === 'ipv4' ? 2 : 7;
  }

  /** The source whose sockaddr stands at word `at`. One slot for each hash: a newcomer takes it over. */
  source(words: Int32Array, at: number): Endpoint {
    const count = this.#addressWords;
    let hash = words[at]!;
    for (let i = 1; i < count; i++) hash = Math.imul(hash ^ words[at + i]!, 0x9e3779b1) ^ (hash >>> 15);
    const slot = (hash ^ (hash >>> 13)) & (SLOTS - 1);
    const keys = this.#keys;
    const key = slot * KEY_WORDS;
    const known = this.#endpoints[slot];
    if (known !== undefined) {
      let i = 0;
      while (i < count && keys[key + i] === words[at + i]) i++;
      if (i === count) return known;
    }
    for (let i = 0; i < count; i++) keys[key + i] = words[at + i]!;
    const endpoint = { address: addressAt(this.#family, words, at), port: portOf(words[at]!) };
    this.#endpoints[slot] = endpoint;
    return endpoint;
  }

  /** The sockaddr of `address` with port 0; undefined where it is no address of this family. */
  destination(address: string): Int32Array | undefined {
    let words = this.#destinations.get(address);
    if (words === undefined) {
      words = sockaddrWords(this.#family, address);
      if (words === undefined) return undefined;
      if (this.#destinations.size >= MAX_DESTINATIONS) this.#destinations.clear();
      this.#destinations.set(address, words);
    }
    return words;
  }
}
