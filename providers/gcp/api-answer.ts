import type { DiscoveryErrorCode } from '../../src/discovery/discovery-error.ts';

/** What the child that asks the Compute API is asked. */
export interface GcpQuestion {
  /** From the credentials or GOOGLE_CLOUD_PROJECT where it is absent. */
  readonly project?: string;
  /** All are looked through where it is absent. */
  readonly zone?: string;
  readonly instance: string;
  /** IPv4 addresses of the machine: which of several instances of that name it is, where the zone is not known. */
  readonly addresses: readonly string[];
  /** Whether the effective firewalls are wanted too. */
  readonly diagnosis: boolean;
}

/** What it answers: each call by itself, since each needs a right of its own. Absent: not asked. */
export interface GcpAnswer {
  readonly instance: CallResult<ApiInstance>;
  /** By the name of the interface. */
  readonly firewalls?: Readonly<Record<string, CallResult<EffectiveFirewall>>>;
}

export type CallResult<Value> = { readonly value: Value } | { readonly refusal: Refusal };

export interface Refusal {
  /** `compute.instances.get` */
  readonly permission: string;
  readonly code: DiscoveryErrorCode;
  /** `scope`: the machine's token may not be used for this API whatever its account may do. */
  readonly reason: 'scope' | 'permission' | 'credentials' | 'other';
  /** There are no credentials at all, in place of some that are not accepted. */
  readonly anonymous?: true;
  /** A sentence without the remedy. */
  readonly message: string;
}

export interface ApiInstance {
  readonly name: string;
  readonly project: string;
  readonly zone: string;
  /** Network tags, which firewall rules aim at. */
  readonly tags: readonly string[];
  readonly serviceAccounts: readonly string[];
  readonly interfaces: readonly ApiInterface[];
}

export interface ApiInterface {
  /** `nic0` */
  readonly name: string;
  readonly address?: string;
  readonly external?: string;
  readonly ipv6s: readonly string[];
  readonly aliases: readonly string[];
  /** The name of its VPC network. */
  readonly network: string;
}

export interface EffectiveFirewall {
  /** VPC firewall rules. */
  readonly rules: readonly FirewallRule[];
  readonly policies: readonly FirewallPolicy[];
  /** Whether the network asks its network policies before the VPC firewall rules; absent: could not be asked. */
  readonly policiesFirst?: boolean;
}

export interface FirewallPolicy {
  readonly name: string;
  /** `HIERARCHY`, `NETWORK`, `NETWORK_REGIONAL`, `SYSTEM_GLOBAL`, `SYSTEM_REGIONAL`. */
  readonly type: string;
  readonly rules: readonly FirewallRule[];
}

/** An inbound rule that is in force. */
export interface FirewallRule {
  readonly name: string;
  /** Less goes first. */
  readonly priority: number;
  /** `goto_next` hands over to the next policy; `inspect` lets a firewall endpoint decide. */
  readonly action: 'allow' | 'deny' | 'goto_next' | 'inspect';
  readonly protocols: readonly FirewallProtocol[];
  /** CIDRs; empty: everywhere, unless `sourcesNarrowed`. */
  readonly sources: readonly string[];
  /** Whether it goes by tags, accounts, names, regions or lists too, which nothing but the cloud can match. */
  readonly sourcesNarrowed: boolean;
  /** CIDRs of the machine's own addresses; empty: all of them. */
  readonly destinations: readonly string[];
  readonly targetTags: readonly string[];
  readonly targetServiceAccounts: readonly string[];
}

export interface FirewallProtocol {
  /** `udp`, `tcp`, `all`, or a number. */
  readonly protocol: string;
  /** `5060`, `10000-20000`; empty: all. */
  readonly ports: readonly string[];
}
