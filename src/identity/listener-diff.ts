import { formatEndpoint } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';

export interface ListenerDiff {
  /** Planned, to be opened. */
  readonly added: readonly Listener[];
  /** Running ones that go on as another: set `running.advertised` to `advertised`. */
  readonly readvertised: readonly {
    readonly running: Listener;
    readonly advertised: Listener['advertised'];
  }[];
  /** Running, no longer planned: to be drained and closed. */
  readonly retired: readonly Listener[];
}

/**
 * What leads from the running listeners to the planned ones. A listener is the same where transport, bound
 * address and port are; boot is the difference from nothing. A planned port 0 never matches a running one.
 */
export function diffListeners(running: readonly Listener[], planned: readonly Listener[]): ListenerDiff {
  const byKey = new Map(running.map((listener) => [listenerKey(listener), listener]));
  const kept = new Set<Listener>();
  const added: Listener[] = [];
  const readvertised: { running: Listener; advertised: Listener['advertised'] }[] = [];
  for (const listener of planned) {
    const same = byKey.get(listenerKey(listener));
    if (!same) {
      added.push(listener);
      continue;
    }
    kept.add(same);
    if (shown(same) !== shown(listener))
      readvertised.push({ running: same, advertised: listener.advertised });
  }
  return { added, readvertised, retired: running.filter((listener) => !kept.has(listener)) };
}

function shown({ advertised }: Listener): string {
  return advertised ? formatEndpoint(advertised) : '';
}
