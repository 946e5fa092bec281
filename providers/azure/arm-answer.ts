import type { DiscoveryErrorCode } from '../../src/discovery/discovery-error.ts';
import type { ArmCloud } from './arm-cloud.ts';
import type { VmResource } from './instance.ts';

/** What the child that asks the Resource Manager is asked. */
export interface ArmQuestion {
  readonly cloud: ArmCloud;
  readonly resource: VmResource;
  /** Of the machine's interfaces, as metadata lists them: so many have to be found. */
  readonly macs: readonly string[];
  /** Whether the effective security rules are wanted too: that takes seconds for each interface. */
  readonly diagnosis: boolean;
}

/** What it answers. Each call needs a right of its own, so each may be refused by itself. */
export interface ArmAnswer {
  readonly nics: readonly ArmNic[];
  /** Address space of the virtual networks and of those peered with them. */
  readonly prefixes: readonly string[];
  readonly refusals: readonly ArmRefusal[];
}

export interface ArmRefusal {
  /** `Microsoft.Network/networkInterfaces/read` */
  readonly action: string;
  /** The resource or group that it was refused for. */
  readonly scope: string;
  readonly code: DiscoveryErrorCode;
  /** A sentence without the remedy. */
  readonly message: string;
}

export interface ArmNic {
  readonly id: string;
  readonly mac: string;
  readonly primary: boolean;
  readonly addresses: readonly ArmAddress[];
  /** Absent where it was not asked for, or refused. */
  readonly groups?: readonly EffectiveGroup[];
}

export interface ArmAddress {
  readonly privateAddress: string;
  readonly primary: boolean;
  /** Absent where there is none, or where it could not be read. */
  readonly publicAddress?: string;
  /** The resource of the public address, where there is one. */
  readonly publicId?: string;
  /** There is a public address, and it could not be read which. */
  readonly unread?: true;
  /** `Standard` or `Basic`, where it could be read. */
  readonly sku?: string;
}

/** One network security group as it works on one interface, the rules in no particular order. */
export interface EffectiveGroup {
  readonly id: string;
  readonly inbound: readonly EffectiveRule[];
  readonly outbound: readonly EffectiveRule[];
}

export interface EffectiveRule {
  readonly name: string;
  readonly priority: number;
  readonly allow: boolean;
  /** `udp`, `tcp`, or `*` for all. */
  readonly protocol: string;
  /** The other side, tags and CIDRs, `*` for all. */
  readonly remote: readonly string[];
  /** This machine's side. */
  readonly own: readonly string[];
  /** Of the sender and of the receiver: `5060`, `10000-20000`, or `*`. */
  readonly sourcePorts: readonly string[];
  readonly ports: readonly string[];
}
