/**
 * A map with one key as a rule: that takes a quarter of the memory of a `Map`, of which each call has some. More keys
 * get one.
 */
export class SmallMap<Value> {
  #key: string | undefined;
  #value: Value | undefined;
  /** All others, in their order behind the first. */
  #others: Map<string, Value> | undefined;

  get size(): number {
    return (this.#key === undefined ? 0 : 1) + (this.#others?.size ?? 0);
  }

  get(key: string): Value | undefined {
    return key === this.#key ? this.#value : this.#others?.get(key);
  }

  set(key: string, value: Value): void {
    if (key === this.#key) this.#value = value;
    else if (this.#key === undefined && !this.#others) [this.#key, this.#value] = [key, value];
    else {
      this.#others ??= new Map();
      this.#others.set(key, value);
    }
  }

  delete(key: string): void {
    if (key === this.#key) this.#key = this.#value = undefined;
    else if (this.#others?.delete(key) && this.#others.size === 0) this.#others = undefined;
  }

  *[Symbol.iterator](): IterableIterator<[string, Value]> {
    if (this.#key !== undefined) yield [this.#key, this.#value as Value];
    if (this.#others) yield* this.#others;
  }
}
