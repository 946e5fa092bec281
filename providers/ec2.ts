import type { MachineFacts } from '../src/discovery/machine-facts.ts';
import { pollTopology } from '../src/discovery/poll-topology.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { ApiMemory } from './ec2/api-memory.ts';
import { discoverEc2 } from './ec2/discover-ec2.ts';

/**
 * Amazon EC2, through the instance metadata service version 2, which needs no rights and no SDK. What metadata
 * cannot tell is asked of the EC2 API, in a child process.
 */
export const ec2: Provider = {
  name: 'ec2',
  detect,
  discover: (context, signal) => discoverEc2(context, signal),
  watch(context, changed, signal, known) {
    const mappings = known?.interfaces.flatMap((nic) => nic.addresses) ?? [];
    const memory: ApiMemory = { relied: mappings.some(({ provenance }) => provenance === 'api') };
    const discover: typeof ec2.discover = (now, abort) => discoverEc2(now, abort, memory);
    void pollTopology({ provider: 'ec2', discover, context, changed, signal, known });
  },
  watchNotices(context, notify, signal) {
    // Not in the way of the start: the first answer is in time a moment later, too.
    void import('./ec2/notices.ts').then(({ pollNotices }) => pollNotices(context, notify, signal));
  },
  async examine(context, examination, signal) {
    const { examineEc2 } = await import('./ec2/examine-ec2.ts');
    return examineEc2(context, examination, signal);
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
