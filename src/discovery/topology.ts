/** Where a fact was learned. */
export type Provenance = 'imds' | 'api' | 'config' | 'stun' | 'os';

/** One private (bound) address and the public address that the cloud maps to it one to one, if any. */
export interface AddressMapping {
  /** Numeric address that the operating system owns and that sockets bind. */
  readonly privateAddress: string;
  /** Public address in front of it; absent where there is none, or where the address is itself public. */
  readonly publicAddress?: string;
  /** Where the mapping (or its absence) was learned. */
  readonly provenance: Provenance;
  /** True where this source cannot tell whether a public address stands in front; another one has to. */
  readonly publicUnknown?: true;
  /** What other sources say of the same private address, where that differs: shown, never hidden. */
  readonly disagreements?: readonly Claim[];
}

/** What one source says stands in front of a private address; without an address: nothing. */
export interface Claim {
  readonly provenance: Provenance;
  readonly publicAddress?: string;
}

export interface NetworkInterface {
  /** Lower case with colons, `02:42:ac:11:00:02`. */
  readonly mac: string;
  /** The operating system's name, `ens5`; absent where the OS does not show the interface (yet). */
  readonly osName?: string;
  /** The cloud's identifier, `eni-…`. */
  readonly id?: string;
  /** The primary address first. */
  readonly addresses: readonly AddressMapping[];
  /** CIDRs of the subnets that this interface stands in. */
  readonly subnets: readonly string[];
  /** Bytes, where the cloud tells. */
  readonly mtu?: number;
}

/** What a provider found: a value, compared and diffed, never mutated. */
export interface Topology {
  /** Name of the provider, `ec2`. */
  readonly provider: string;
  readonly interfaces: readonly NetworkInterface[];
  /** CIDRs that are reached by private addresses: VPC or VNet, subnets, configured ones. */
  readonly localNetworks: readonly string[];
  /** Options that the instance's tags or attributes named `cloudsip-…` set, without that prefix. */
  readonly options?: Readonly<Record<string, string>>;
  /** Sentences for a person: what this cloud could not tell, and what to do about it. */
  readonly notes?: readonly string[];
}
