import type { Clock, Timer } from '../net/clock.ts';
import type { Binding } from './binding.ts';
import { type LocationStore, mostBindings } from './location-store.ts';

export interface MemoryLocationOptions {
  /** Bound on all bindings together; default 1,000,000. */
  readonly mostBindings?: number;
  /** Told of bindings that have expired and were taken out, a batch at a time. */
  readonly onPurge?: (bindings: readonly Binding[]) => void;
}

/** How often expired bindings are looked for, and how many addresses of record are looked at each time. */
const purgeEveryMs = 1000;
const purgeBatch = 10_000;

const none: readonly Binding[] = [];

/** Bindings in memory. A restart loses them; phones come back when they register anew. */
export class MemoryLocation implements LocationStore {
  /** Each list is sorted and never changed in place. */
  readonly #byAor: Map<string, readonly Binding[]> = new Map();
  readonly #clock: Clock;
  readonly #mostBindings: number;
  readonly #onPurge: ((bindings: readonly Binding[]) => void) | undefined;
  #size = 0;
  #timer: Timer;
  #sweep: MapIterator<[string, readonly Binding[]]> | undefined;

  constructor(clock: Clock, options: MemoryLocationOptions = {}) {
    this.#clock = clock;
    this.#mostBindings = options.mostBindings ?? mostBindings;
    this.#onPurge = options.onPurge;
    this.#timer = clock.schedule(() => this.#purge(), purgeEveryMs);
  }

  get size(): number {
    return this.#size;
  }

  lookup(aor: string): readonly Binding[] {
    const held = this.#byAor.get(aor);
    return held === undefined ? none : valid(held, this.#clock.now());
  }

  /** Everything held, expired or not. */
  held(aor: string): readonly Binding[] {
    return this.#byAor.get(aor) ?? none;
  }

  replace(aor: string, bindings: readonly Binding[]): boolean {
    const before = this.#byAor.get(aor)?.length ?? 0;
    const size = this.#size - before + bindings.length;
    // Who is there may refresh and leave even when the store is full.
    if (bindings.length > before && size > this.#mostBindings) return false;
    if (bindings.length === 0) this.#byAor.delete(aor);
    else
      this.#byAor.set(
        aor,
        [...bindings].sort((a, b) => b.q - a.q),
      );
    this.#size = size;
    return true;
  }

  *bindings(): IterableIterator<Binding> {
    for (const held of this.#byAor.values()) yield* valid(held, this.#clock.now());
  }

  close(): void {
    this.#clock.cancel(this.#timer);
  }

  /** Looks at the next batch, so that no sweep over a million holds a call up. */
  #purge(): void {
    const now = this.#clock.now();
    const purged: Binding[] = [];
    this.#sweep ??= this.#byAor.entries();
    for (let looked = 0; looked < purgeBatch; looked++) {
      const next = this.#sweep.next();
      if (next.done) {
        this.#sweep = undefined;
        break;
      }
      const [aor, held] = next.value;
      const kept = valid(held, now);
      if (kept === held) continue;
      for (const binding of held) if (binding.expiresAt <= now) purged.push(binding);
      this.#size -= held.length - kept.length;
      if (kept.length === 0) this.#byAor.delete(aor);
      else this.#byAor.set(aor, kept);
    }
    this.#timer = this.#clock.schedule(() => this.#purge(), purgeEveryMs);
    if (purged.length > 0) this.#onPurge?.(purged);
  }
}

/** The list itself where all of it is valid: nothing is copied on the way of a call. */
function valid(held: readonly Binding[], now: number): readonly Binding[] {
  for (const binding of held)
    if (binding.expiresAt <= now) return held.filter((each) => each.expiresAt > now);
  return held;
}
