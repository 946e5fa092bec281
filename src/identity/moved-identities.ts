import { type Endpoint, formatEndpoint } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';

/** Listeners are few; what they lost is remembered for as many. */
const MAX_LOST = 1024;

/**
 * Which listener holds a public address now. The cloud moves one from a card to another in the middle of calls; who
 * knows us by it goes on to be spoken to from there.
 */
export class MovedIdentities {
  /** `udp 203.0.113.5:5060` → who alone advertises that; null where several do. */
  #holders = new Map<string, Listener | null>();
  /** What each advertised when it was looked at last. */
  #shown = new Map<Listener, Endpoint | undefined>();
  /** By the key of a listener: what it advertised last before it was taken away. */
  readonly #lost = new Map<string, string>();

  adopt(listeners: readonly Listener[]): void {
    const former = this.#shown;
    this.#shown = new Map(listeners.map((listener) => [listener, listener.advertised]));
    for (const [listener, shown] of former) {
      if (shown && this.#shown.get(listener) !== shown) this.#lose(listener, shown);
    }
    this.#holders = new Map();
    for (const listener of listeners) {
      const { advertised, transport } = listener;
      if (!advertised) continue;
      const name = nameOf(transport, advertised);
      this.#holders.set(name, this.#holders.has(name) ? null : listener);
    }
  }

  /** Where `listener` goes on for whoever was shown `shown` by it: by itself, unless another has that address now. */
  holderOf(listener: Listener, shown: Endpoint): Listener {
    if (listener.advertised === shown && this.#shown.has(listener)) return listener;
    return this.#holders.get(nameOf(listener.transport, shown)) ?? listener;
  }

  /** Who has now what the listener of this key advertised last; undefined where nobody has. */
  heirOf(key: string): Listener | undefined {
    const lost = this.#lost.get(key);
    return (lost !== undefined && this.#holders.get(lost)) || undefined;
  }

  get hasLost(): boolean {
    return this.#lost.size > 0;
  }

  /** Advertised address → the one bound address where what is sent to it arrives. */
  get places(): ReadonlyMap<string, string> {
    const places = new Map<string, string>();
    const shared = new Set<string>();
    for (const { bound, advertised } of this.#shown.keys()) {
      if (!advertised) continue;
      const place = places.get(advertised.address);
      if (place !== undefined && place !== bound.address) shared.add(advertised.address);
      places.set(advertised.address, bound.address);
    }
    for (const address of shared) places.delete(address);
    return places;
  }

  #lose(listener: Listener, shown: Endpoint): void {
    const key = listenerKey(listener);
    this.#lost.delete(key);
    this.#lost.set(key, nameOf(listener.transport, shown));
    const [oldest] = this.#lost.keys();
    if (this.#lost.size > MAX_LOST && oldest !== undefined) this.#lost.delete(oldest);
  }
}

function nameOf(transport: string, endpoint: Endpoint): string {
  return `${transport} ${formatEndpoint(endpoint)}`;
}
