import type { MachineDescription } from './fake-imds-document.ts';

/** What an account holds, as far as the stand-in of the EC2 API tells of it. */
export interface FakeEc2Account {
  readonly interfaces: readonly FakeInterface[];
  readonly rules: readonly FakeRule[];
  readonly acls: readonly FakeAcl[];
  readonly routeTables: readonly FakeRouteTable[];
}

export interface FakeInterface {
  readonly id: string;
  readonly mac: string;
  readonly ownerId: string;
  readonly instanceId: string;
  readonly deviceIndex: number;
  readonly networkCard?: number;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly groups: readonly string[];
  /** The primary one first. */
  readonly addresses: readonly {
    readonly private: string;
    readonly public?: string;
    readonly carrier?: string;
  }[];
  readonly ipv6s?: readonly string[];
  readonly ipv4Prefixes?: readonly string[];
}

export interface FakeRule {
  readonly groupId: string;
  readonly egress?: boolean;
  /** `udp`, `tcp`, `-1` for all. */
  readonly protocol: string;
  readonly from?: number;
  readonly to?: number;
  /** One of the three says who may. */
  readonly cidr?: string;
  readonly prefixList?: string;
  readonly group?: string;
}

export interface FakeAcl {
  readonly id: string;
  readonly subnets: readonly string[];
  readonly entries: readonly FakeAclEntry[];
}

export interface FakeAclEntry {
  readonly number: number;
  readonly egress?: boolean;
  readonly action: 'allow' | 'deny';
  /** `-1` for all, `17` for UDP, `6` for TCP: numbers, as the API has them. */
  readonly protocol: string;
  readonly cidr: string;
  readonly from?: number;
  readonly to?: number;
}

export interface FakeRouteTable {
  readonly id: string;
  readonly vpcId: string;
  /** Empty for one that only serves as the main one. */
  readonly subnets: readonly string[];
  readonly main?: boolean;
  /** `target` by its prefix: `igw-…`, `nat-…`, `eigw-…`, `cagw-…`, `eni-…`, `local`. */
  readonly routes: readonly {
    readonly to: string;
    readonly target: string;
    readonly state?: 'active' | 'blackhole';
  }[];
}

const allowAll = (number: number, egress: boolean, cidr: string): FakeAclEntry => ({
  number,
  egress,
  action: 'allow',
  protocol: '-1',
  cidr,
});
const denyRest = (number: number, egress: boolean, cidr: string): FakeAclEntry => ({
  ...allowAll(number, egress, cidr),
  action: 'deny',
});

/** The network ACL that a VPC is made with: lets everything through, both ways. */
export const defaultAclEntries: readonly FakeAclEntry[] = [false, true].flatMap((egress) => [
  allowAll(100, egress, '0.0.0.0/0'),
  denyRest(32767, egress, '0.0.0.0/0'),
  allowAll(101, egress, '::/0'),
  denyRest(32768, egress, '::/0'),
]);

/** The account of a machine on which cloudsip is served well: open groups and ACLs, a way to the internet. */
export function healthyAccount({ nics, instanceId }: MachineDescription): FakeEc2Account {
  const groupId = 'sg-0123456789abcdef0';
  const vpcId = 'vpc-0123456789abcdef0';
  const interfaces = nics.map(
    ({ mac, id, ownerId, deviceNumber, networkCard, addresses, ipv6s }, index): FakeInterface => ({
      id: id ?? `eni-0${mac.replaceAll(':', '')}`,
      mac,
      ownerId: ownerId ?? '123456789012',
      instanceId: instanceId ?? 'i-0123456789abcdef0',
      deviceIndex: deviceNumber ?? index,
      ...(networkCard !== undefined && { networkCard }),
      subnetId: `subnet-${index}`,
      vpcId,
      groups: [groupId],
      addresses,
      ...(ipv6s && { ipv6s }),
    }),
  );
  const subnets = interfaces.map(({ subnetId }) => subnetId);
  const anywhere = ['0.0.0.0/0', '::/0'];
  return {
    interfaces,
    rules: anywhere.flatMap((cidr): FakeRule[] => [
      { groupId, protocol: 'udp', from: 5060, to: 5060, cidr },
      { groupId, protocol: 'udp', from: 10000, to: 20000, cidr },
      { groupId, protocol: '-1', egress: true, cidr },
    ]),
    acls: [{ id: 'acl-0123456789abcdef0', subnets, entries: defaultAclEntries }],
    routeTables: [
      {
        id: 'rtb-0123456789abcdef0',
        vpcId,
        subnets: [],
        main: true,
        routes: [
          { to: '10.0.0.0/16', target: 'local' },
          ...anywhere.map((to) => ({ to, target: 'igw-0123456789abcdef0' })),
        ],
      },
    ],
  };
}
