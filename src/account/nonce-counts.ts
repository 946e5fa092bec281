interface Use {
  count: number;
  readonly issuedAt: number;
}

/**
 * The highest nonce count seen with each live nonce (RFC 7616 3.4 `nc`), against replay. Bounded: when the
 * oldest has to go, all nonces issued before it that are not known any more count as used.
 */
export class NonceCounts {
  readonly #uses: Map<string, Use> = new Map();
  readonly #capacity: number;
  readonly #lifeMs: number;
  #forgottenUntil = Number.NEGATIVE_INFINITY;

  constructor(capacity: number, lifeMs: number) {
    this.#capacity = capacity;
    this.#lifeMs = lifeMs;
  }

  get size(): number {
    return this.#uses.size;
  }

  /** Notes one use; false where this count, or a higher one, was there before. Only for verified digests. */
  use(nonce: string, issuedAt: number, count: number, now: number): boolean {
    const use = this.#uses.get(nonce);
    if (use) {
      if (count <= use.count) return false;
      use.count = count;
      return true;
    }
    if (issuedAt <= this.#forgottenUntil) return false;
    this.#makeRoom(now);
    this.#uses.set(nonce, { count, issuedAt });
    return true;
  }

  #makeRoom(now: number): void {
    for (const [nonce, use] of this.#uses) {
      // In the order of their first use, which is close to the order of issue: the expired ones come first.
      const expired = now - use.issuedAt > this.#lifeMs;
      if (!expired && this.#uses.size < this.#capacity) return;
      this.#uses.delete(nonce);
      if (!expired) this.#forgottenUntil = Math.max(this.#forgottenUntil, use.issuedAt);
    }
  }
}
