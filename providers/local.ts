import { privateSubnets, subnetOf } from '../src/discovery/os-topology.ts';
import { pollTopology } from '../src/discovery/poll-topology.ts';
import type { DiscoveryContext, Provider } from '../src/discovery/provider.ts';
import type { NetworkInterface, Topology } from '../src/discovery/topology.ts';
import { scopeOf } from '../src/net/address-scope.ts';
import type { OsInterface } from '../src/net/os-interfaces.ts';

/** The machine's own addresses and nothing in front of them: a laptop, a lab, a host with public addresses. */
export const local: Provider = {
  name: 'local',
  detect: () => true,
  discover,
  watch(context, changed, signal, known) {
    void pollTopology({ provider: 'local', discover, context, changed, signal, known });
  },
};

function discover({ facts }: DiscoveryContext): Promise<Topology> {
  const outward = usable(facts.interfaces.filter((device) => !device.internal));
  const interfaces = outward.length > 0 ? outward : usable(facts.interfaces);
  return Promise.resolve({
    provider: 'local',
    interfaces: interfaces.map(
      (device): NetworkInterface => ({
        mac: device.mac,
        osName: device.name,
        addresses: device.addresses.map(({ address }) => ({ privateAddress: address, provenance: 'os' })),
        subnets: [...new Set(device.addresses.map(subnetOf))],
      }),
    ),
    localNetworks: privateSubnets(interfaces),
  });
}

/** Without link-local IPv6: it is of no use without a zone, which SIP cannot carry (RFC 3261 25.1). */
function usable(interfaces: readonly OsInterface[]): OsInterface[] {
  return interfaces
    .map((device) => ({
      ...device,
      addresses: device.addresses.filter(
        ({ address, family }) => family === 'ipv4' || scopeOf(address) !== 'link-local',
      ),
    }))
    .filter((device) => device.addresses.length > 0);
}
