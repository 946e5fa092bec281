/** A metadata tree: an object is a directory, a string or a list of strings the lines of an item. */
export interface ImdsTree {
  readonly [name: string]: string | readonly string[] | ImdsTree;
}

export interface NicDescription {
  readonly mac: string;
  /** The place in the list by default. */
  readonly deviceNumber?: number;
  readonly networkCard?: number;
  /** `eni-…`, made from the MAC by default. */
  readonly id?: string;
  /** The account that the interface belongs to; the instance's by default. */
  readonly ownerId?: string;
  /** IPv4, the primary one first. Empty on an IPv6-only interface. */
  readonly addresses: readonly { readonly private: string; readonly public?: string }[];
  readonly ipv6s?: readonly string[];
  readonly subnetCidr?: string;
  readonly subnetIpv6Cidrs?: readonly string[];
  readonly vpcCidrs?: readonly string[];
  readonly vpcIpv6Cidrs?: readonly string[];
}

export interface MachineDescription {
  readonly instanceId?: string;
  /** The MAC that the machine calls its own; the first interface's by default. */
  readonly mac?: string;
  /** The primary one first. */
  readonly nics: readonly NicDescription[];
}

/** The metadata tree of an instance with these interfaces. What an interface lacks is absent, as on EC2. */
export function imdsDocument({
  nics,
  mac = nics[0]?.mac ?? '',
  instanceId = 'i-0123456789abcdef0',
}: MachineDescription): ImdsTree {
  const first = nics[0]?.addresses[0];
  return {
    ...(first && { 'local-ipv4': first.private }),
    ...(first?.public && { 'public-ipv4': first.public }),
    'instance-id': instanceId,
    mac,
    network: {
      interfaces: { macs: Object.fromEntries(nics.map((nic, index) => [nic.mac, nicTree(nic, index)])) },
    },
  };
}

function nicTree(nic: NicDescription, index: number): ImdsTree {
  const publics = new Map<string, string[]>();
  for (const address of nic.addresses) {
    if (address.public)
      publics.set(address.public, [...(publics.get(address.public) ?? []), address.private]);
  }
  return {
    'device-number': String(nic.deviceNumber ?? index),
    'interface-id': nic.id ?? `eni-0${nic.mac.replaceAll(':', '')}`,
    ...(publics.size > 0 && {
      'ipv4-associations': Object.fromEntries(publics),
      'public-ipv4s': [...publics.keys()],
    }),
    ...(nic.ipv6s?.length && { ipv6s: nic.ipv6s }),
    ...(nic.addresses.length > 0 && { 'local-ipv4s': nic.addresses.map((address) => address.private) }),
    mac: nic.mac,
    ...(nic.networkCard !== undefined && { 'network-card': String(nic.networkCard) }),
    'owner-id': nic.ownerId ?? '123456789012',
    ...(nic.subnetCidr && { 'subnet-ipv4-cidr-block': nic.subnetCidr }),
    ...(nic.subnetIpv6Cidrs && { 'subnet-ipv6-cidr-blocks': nic.subnetIpv6Cidrs }),
    ...(nic.vpcCidrs?.[0] && {
      'vpc-ipv4-cidr-block': nic.vpcCidrs[0],
      'vpc-ipv4-cidr-blocks': nic.vpcCidrs,
    }),
    ...(nic.vpcIpv6Cidrs && { 'vpc-ipv6-cidr-blocks': nic.vpcIpv6Cidrs }),
  };
}
