import { pollTopology } from '../../src/discovery/poll-topology.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { ApiMemory } from './api-memory.ts';
import { discover, INTERFACES } from './discover.ts';
import { follow } from './follow.ts';

/**
 * The metadata server tells of changes of the interfaces by itself, by a request that it holds. Beside that it is
 * asked at the usual pace: what the operating system took up or lost it does not know, and attributes change too.
 */
export function watch(
  context: DiscoveryContext,
  changed: (topology: Topology) => void,
  signal: AbortSignal,
  known?: Topology,
): void {
  const addresses = (known?.interfaces ?? []).flatMap((nic) => nic.addresses);
  const memory: ApiMemory = { relied: addresses.some(({ provenance }) => provenance === 'api') };
  void pollTopology({
    provider: 'gcp',
    discover: (now, stop) => discover(now, stop, memory),
    context,
    changed,
    signal,
    known,
    listen: (awake) => {
      let first = true;
      const changedThere = (): void => {
        // What is there at the start the caller has just read.
        if (!first) awake();
        first = false;
      };
      void follow(context, INTERFACES, changedThere, signal);
    },
  });
}
