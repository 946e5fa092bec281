/** An address as the operating system has it. */
export interface OsAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: 'ipv4' | 'ipv6';
}

export interface OsInterface {
  readonly name: string;
  /** Lower case with colons. */
  readonly mac: string;
  readonly internal: boolean;
  readonly addresses: readonly OsAddress[];
}

/** What the machine tells about itself without any network. */
export interface MachineFacts {
  /** `/sys/class/dmi/id/*` by file name, trimmed; absent where unreadable. */
  readonly dmi: Readonly<Record<string, string>>;
  /** `/sys/hypervisor/uuid` (Xen), absent elsewhere. */
  readonly hypervisorUuid?: string;
  readonly interfaces: readonly OsInterface[];
}
