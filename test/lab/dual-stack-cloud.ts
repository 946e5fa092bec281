import { cloud } from './cloud.ts';
import type { HostSpec, Topology } from './topology.ts';

/** The machine's IPv6 address (RFC 3849): routed as it is, no NAT in front of it, as on EC2. */
export const publicAddress6 = '2001:db8:a::15';

/**
 * The standard laboratory with IPv6 on the machine's first card and on the internet, where two more hosts have
 * nothing but IPv6: carol6-host 2001:db8:f::10 and dave6-host 2001:db8:f::20.
 */
export const dualStackCloud: Topology = {
  ...cloud,
  hosts: {
    ...cloud.hosts,
    vm: {
      ...withAddresses('vm', { ens5: `${publicAddress6}/64` }),
      routes: [...(cloud.hosts['vm']?.routes ?? []), { to: 'default', via: '2001:db8:a::1' }],
    },
    router: withAddresses('router', { 'vpc-a': '2001:db8:a::1/64', internet: '2001:db8:f::1/64' }),
    'carol6-host': onlyIpv6('2001:db8:f::10/64'),
    'dave6-host': onlyIpv6('2001:db8:f::20/64'),
  },
};

function onlyIpv6(address: string): HostSpec {
  return {
    interfaces: [{ name: 'eth0', segment: 'internet', addresses: [address] }],
    routes: [{ to: 'default', via: '2001:db8:f::1' }],
  };
}

/** A host of the standard laboratory with one more address on some of its cards. */
function withAddresses(name: string, more: Readonly<Record<string, string>>): HostSpec {
  const spec = cloud.hosts[name]!;
  const interfaces = spec.interfaces.map((card) => {
    const address = more[card.name];
    return address === undefined ? card : { ...card, addresses: [...card.addresses, address] };
  });
  return { ...spec, interfaces };
}
