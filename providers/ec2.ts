import type { MachineFacts } from '../src/discovery/machine-facts.ts';
import { pollTopology } from '../src/discovery/poll-topology.ts';
import type { DiscoveryContext, Provider } from '../src/discovery/provider.ts';
import type { Topology } from '../src/discovery/topology.ts';
import { openImds } from './ec2/imds.ts';
import { readNetwork } from './ec2/network.ts';

/** Amazon EC2, through the instance metadata service version 2. Needs no rights and no SDK. */
export const ec2: Provider = {
  name: 'ec2',
  detect,
  discover,
  watch(context, changed, signal, known) {
    void pollTopology({ provider: 'ec2', discover, context, changed, signal, known });
  },
};

/**
 * EC2 user guide, "Detect whether a host is an EC2 instance", without the identifiers that only root may read.
 * Nitro names itself in the vendors, Xen in the BIOS version or, paravirtual, in the hypervisor's UUID.
 */
function detect({ dmi, hypervisorUuid }: MachineFacts): boolean {
  return (
    dmi['board_vendor'] === 'Amazon EC2' ||
    dmi['sys_vendor'] === 'Amazon EC2' ||
    /amazon/i.test(dmi['bios_vendor'] ?? '') ||
    /amazon/i.test(dmi['bios_version'] ?? '') ||
    /^i-[0-9a-f]{8,17}$/.test(dmi['board_asset_tag'] ?? '') ||
    /^ec2/i.test(hypervisorUuid ?? '')
  );
}

async function discover(context: DiscoveryContext, signal: AbortSignal): Promise<Topology> {
  const imds = await openImds(context, signal);
  try {
    return await readNetwork(imds, context.facts.interfaces);
  } finally {
    imds.close();
  }
}
