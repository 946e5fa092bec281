import type { Binding } from './binding.ts';

/**
 * The location service (RFC 3261 10.1). Reading is synchronous because it lies on the way of every call: a
 * store that others share keeps its own copy in memory and follows the changes.
 */
export interface LocationStore {
  /** The valid bindings, highest q first, the latest change first among equals; empty where there are none. */
  lookup(aor: string): readonly Binding[];
  /**
   * Puts `bindings` in the place of everything that the address of record had, all or nothing; an empty list
   * removes it. Kept when it returns, as far as the store can. False, with nothing changed, where the store is full.
   */
  replace(aor: string, bindings: readonly Binding[]): boolean;
  /** How many bindings are held, those included that have expired and not been purged yet. */
  readonly size: number;
  /** All valid bindings, for showing. */
  bindings(): IterableIterator<Binding>;
  close(): void;
}

/** Default bound on all bindings together, some 1 GB of memory. */
export const mostBindings = 1_000_000;
