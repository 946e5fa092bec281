/** A laboratory as a value: hosts (network namespaces) on segments (bridges). */
export interface Topology {
  readonly hosts: Readonly<Record<string, HostSpec>>;
  readonly metadata?: MetadataSpec;
}

export interface HostSpec {
  /** The first address of the first interface is the host's address. */
  readonly interfaces: readonly InterfaceSpec[];
  readonly routes?: readonly RouteSpec[];
  readonly rules?: readonly RuleSpec[];
  /** Extra addresses on lo, without prefix length. */
  readonly loopback?: readonly string[];
  readonly forwarding?: CloudRouterSpec | HomeRouterSpec;
}

export interface InterfaceSpec {
  /** At most 15 characters, as the kernel wants it. */
  readonly name: string;
  readonly segment: string;
  readonly mac?: string;
  /** With prefix length; the first is the primary address. IPv6 is switched on where one is of that family. */
  readonly addresses: readonly string[];
  readonly mtu?: number;
}

export interface RouteSpec {
  readonly to: string;
  readonly via?: string;
  readonly device?: string;
  /** Default: the main table. */
  readonly table?: number;
}

/** Source-based routing: what leaves from the address asks this table. */
export interface RuleSpec {
  readonly from: string;
  readonly table: number;
}

/** A cloud's 1-to-1 NAT: stateless, no ports changed, no loopback from inside to a public address. */
export interface CloudRouterSpec {
  readonly kind: 'cloud';
  /** The interface that faces the internet. */
  readonly outside: string;
  /** All that may ever be a public address of this cloud. */
  readonly publicPool: string;
  /** Private to public. */
  readonly publicAddresses: Readonly<Record<string, string>>;
}

/** A home router: masquerade, ports kept where possible, only answers come in. */
export interface HomeRouterSpec {
  readonly kind: 'home';
  readonly outside: string;
}

export interface MetadataSpec {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** Who may ask; everybody else is met with silence. */
  readonly clients: readonly string[];
}
