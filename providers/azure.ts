import type { MachineFacts } from '../src/discovery/machine-facts.ts';
import { pollTopology } from '../src/discovery/poll-topology.ts';
import type { DiscoveryContext, Provider } from '../src/discovery/provider.ts';
import type { Topology } from '../src/discovery/topology.ts';

/**
 * Microsoft Azure: the metadata service first, the Resource Manager (in a child process) where that does not
 * tell the public addresses. What is needed only there is loaded only there.
 */
export const azure: Provider = {
  name: 'azure',
  detect,
  discover,
  watch(context, changed, signal, known) {
    // What the Resource Manager said at the start is remembered under the context that was handed in then.
    const asked = (polled: DiscoveryContext, ended: AbortSignal): Promise<Topology> =>
      discover(polled, ended, context);
    void pollTopology({ provider: 'azure', discover: asked, context, changed, signal, known });
  },
  watchNotices(context, notify, signal) {
    const watching = import('./azure/scheduled-events.ts').then(({ watchScheduledEvents }) =>
      watchScheduledEvents(context, notify, signal),
    );
    watching.catch((error: unknown) => {
      context.log.warn({ provider: 'azure', err: error }, 'scheduled events are not watched');
    });
  },
  async examine(context, examination, signal) {
    const { examine } = await import('./azure/examine.ts');
    return examine(context, examination, signal);
  },
};

/**
 * The tag that every Azure VM carries, and nothing else: "Microsoft Corporation" and "Virtual Machine" stand on
 * every Hyper-V, in the cloud or under a desk.
 */
function detect({ dmi }: MachineFacts): boolean {
  return dmi['chassis_asset_tag'] === '7783-7084-3265-9085-8269-3286-77';
}

async function discover(
  context: DiscoveryContext,
  signal: AbortSignal,
  remembered: DiscoveryContext = context,
): Promise<Topology> {
  const { discoverAzure } = await import('./azure/discover.ts');
  return discoverAzure(context, signal, remembered);
}
