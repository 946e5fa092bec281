import type { DiscoveryErrorCode } from '../../src/discovery/discovery-error.ts';

/** What the child that asks the EC2 API is asked. */
export interface Ec2Question {
  /** What the SDK finds in its own configuration where it is absent. */
  readonly region?: string;
  readonly instanceId?: string;
  /** Of the machine's interfaces: who is asked for where the instance's id is not known. */
  readonly macs: readonly string[];
  /** Whether groups, network ACLs and routes are wanted too. */
  readonly diagnosis: boolean;
}

/** What it answers: each call by itself, since each needs a right of its own. Absent: not asked. */
export interface Ec2Answer {
  readonly interfaces: CallResult<ApiInterface>;
  readonly rules?: CallResult<GroupRule>;
  readonly acls?: CallResult<NetworkAcl>;
  readonly routeTables?: CallResult<RouteTable>;
}

export type CallResult<Item> = { readonly items: readonly Item[] } | { readonly refusal: Refusal };

export interface Refusal {
  /** `ec2:DescribeNetworkInterfaces` */
  readonly action: string;
  readonly code: DiscoveryErrorCode;
  /** The SDK found no credentials, in place of some that are not accepted. */
  readonly anonymous?: true;
  /** A sentence without the remedy. */
  readonly message: string;
}

export interface ApiInterface {
  readonly id: string;
  readonly mac: string;
  readonly ownerId: string;
  readonly deviceIndex: number;
  readonly networkCard: number;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly groups: readonly string[];
  /** The primary one first. */
  readonly addresses: readonly ApiAddress[];
  readonly ipv6s: readonly string[];
}

export interface ApiAddress {
  readonly privateAddress: string;
  /** Elastic, automatic, or a carrier's in a Wavelength Zone. */
  readonly publicAddress?: string;
}

/** `protocol` is `udp`, `tcp`, `-1` for all, or a number; ports are -1 where they mean nothing. */
export interface GroupRule {
  readonly groupId: string;
  readonly egress: boolean;
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
  /** A CIDR, a prefix list's id or a group's id. */
  readonly peer: string;
}

export interface NetworkAcl {
  readonly id: string;
  readonly subnetIds: readonly string[];
  readonly entries: readonly AclEntry[];
}

export interface AclEntry {
  readonly number: number;
  readonly egress: boolean;
  readonly allow: boolean;
  /** A number, `-1` for all. */
  readonly protocol: string;
  readonly cidr: string;
  /** Absent: all ports. */
  readonly ports?: { readonly from: number; readonly to: number };
}

export interface RouteTable {
  readonly id: string;
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  /** Serves every subnet of the VPC that has no table of its own. */
  readonly main: boolean;
  readonly routes: readonly { readonly to: string; readonly target: string; readonly active: boolean }[];
}
