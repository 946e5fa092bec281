/** What a metadata server serves, in the shape in which it is recorded: `{instance, project}`, keys in camel case. */
export interface GceTree {
  readonly [name: string]: GceValue;
}

export type GceValue = string | number | boolean | null | GceNumber | readonly GceValue[] | GceTree;

/** A number as it was written: instance ids exceed 2^53. */
export interface GceNumber {
  readonly digits: string;
}

export interface GceNic {
  readonly mac: string;
  readonly ip?: string;
  readonly subnetmask?: string;
  /** Null: an access config without an address; undefined: no access configs at all. */
  readonly external?: string | null;
  readonly aliases?: readonly string[];
  readonly forwarded?: readonly string[];
  readonly targetInstance?: readonly string[];
  readonly ipv6s?: readonly string[];
  readonly mtu?: number;
  readonly network?: string;
}

export interface GceDescription {
  readonly nics: readonly GceNic[];
  readonly attributes?: Readonly<Record<string, string>>;
  readonly projectAttributes?: Readonly<Record<string, string>>;
  /** Of its service account; `null` for a machine without one. The default ones by default. */
  readonly scopes?: readonly string[] | null;
  readonly preempted?: string;
  readonly maintenanceEvent?: string;
}

/** What a VM has when nobody chooses: nothing of Compute in it. */
export const defaultScopes: readonly string[] = [
  'https://www.googleapis.com/auth/devstorage.read_only',
  'https://www.googleapis.com/auth/logging.write',
  'https://www.googleapis.com/auth/monitoring.write',
];
export const fullScopes: readonly string[] = ['https://www.googleapis.com/auth/cloud-platform'];

export const gceProject = 'lab-project';
export const gceZone = 'europe-west3-a';
export const gceInstance = 'sip-edge';
export const gceAccount = '123456789012-compute@developer.gserviceaccount.com';

/** The document of an instance with these interfaces. */
export function gceDocument(description: GceDescription): GceTree {
  const { nics, attributes = {}, projectAttributes = {}, scopes = defaultScopes } = description;
  const account = { aliases: ['default'], email: gceAccount, scopes: scopes ?? [] };
  return {
    instance: {
      attributes,
      hostname: `${gceInstance}.${gceZone}.c.${gceProject}.internal`,
      id: { digits: '8087716956832600049' },
      maintenanceEvent: description.maintenanceEvent ?? 'NONE',
      name: gceInstance,
      networkInterfaces: nics.map(nicTree),
      preempted: description.preempted ?? 'FALSE',
      ...(scopes && { serviceAccounts: { default: account, [gceAccount]: account } }),
      zone: `projects/123456789012/zones/${gceZone}`,
    },
    project: { attributes: projectAttributes, numericProjectId: 123456789012, projectId: gceProject },
    universe: { universeDomain: 'googleapis.com' },
  };
}

function nicTree(nic: GceNic): GceTree {
  return {
    ...(nic.external !== undefined && {
      accessConfigs: [{ externalIp: nic.external ?? '', type: 'ONE_TO_ONE_NAT' }],
    }),
    forwardedIps: nic.forwarded ?? [],
    ...(nic.ip !== undefined && { ip: nic.ip }),
    ipAliases: nic.aliases ?? [],
    ...(nic.ipv6s && { ipv6s: nic.ipv6s }),
    mac: nic.mac,
    mtu: nic.mtu ?? 1460,
    network: nic.network ?? 'projects/123456789012/networks/default',
    ...(nic.subnetmask !== undefined && { subnetmask: nic.subnetmask }),
    targetInstanceIps: nic.targetInstance ?? [],
  };
}

/** Parses a recorded document without losing a digit. */
export function parseGceDocument(text: string): GceTree {
  const parsed = JSON.parse(text, (_key, value: unknown, ...rest: unknown[]) => {
    const { source } = (rest[0] ?? {}) as { source?: string };
    return typeof value === 'number' && !Number.isSafeInteger(value) ? { digits: source ?? '' } : value;
  }) as GceTree;
  const inner = parsed['computeMetadata'] as { v1: GceTree } | undefined;
  return inner?.v1 ?? parsed;
}

/** JSON with every digit in its place. */
export function gceJson(value: GceValue): string {
  const digits: string[] = [];
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (!isNumber(part)) return part;
    digits.push(part.digits);
    return `\u0000${digits.length - 1}`;
  });
  return text.replaceAll(/"\\u0000(\d+)"/g, (_match, index: string) => digits[Number(index)]!);
}

export function isNumber(value: unknown): value is GceNumber {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'digits';
}
