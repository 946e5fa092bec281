/** What Azure's metadata service says, each document as it goes over the wire. */
export interface AzureDocuments {
  /** `/metadata/instance`: `{compute, network}`. */
  readonly instance: unknown;
  /** `/metadata/loadbalancer`; absent: 404. */
  readonly loadbalancer?: unknown;
  readonly scheduledevents?: ScheduledEventsDocument;
  /** The token that the managed identity gets; absent: the VM has none. */
  readonly token?: string;
}

export interface ScheduledEventsDocument {
  readonly DocumentIncarnation: number;
  readonly Events: readonly Readonly<Record<string, unknown>>[];
}

export interface AzureNicDescription {
  /** In any spelling. */
  readonly mac: string;
  /** The primary one first. */
  readonly addresses: readonly { readonly private: string; readonly public?: string }[];
  /** `10.0.0.0/24`. */
  readonly subnetCidr?: string;
  /** Of the interface and its public addresses; the VM's by default. */
  readonly resourceGroup?: string;
}

export interface AzureVmDescription {
  readonly name?: string;
  readonly subscriptionId?: string;
  readonly resourceGroup?: string;
  /** Makes it an instance of a uniform scale set; `name` is its number then. */
  readonly scaleSet?: string;
  readonly environment?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly nics: readonly AzureNicDescription[];
}

export const SUBSCRIPTION = '8d10da13-8125-4ba9-a717-bf7490507b3d';
export const GROUP = 'voice';
export const TOKEN = 'a-token-of-the-managed-identity';

/** `/subscriptions/…/virtualMachines/…`. */
export function vmId({
  name = 'edge',
  subscriptionId = SUBSCRIPTION,
  resourceGroup = GROUP,
  scaleSet,
}: Pick<AzureVmDescription, 'name' | 'subscriptionId' | 'resourceGroup' | 'scaleSet'>): string {
  const parent = scaleSet === undefined ? '' : `virtualMachineScaleSets/${scaleSet}/`;
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/${parent}virtualMachines/${name}`;
}

/**
 * The documents of such a VM. `told` is who tells the public addresses: the interfaces themselves (the Basic
 * SKU), the load balancer's metadata (the Standard SKU), or nobody.
 */
export function azureDocuments(
  machine: AzureVmDescription,
  told: 'instance' | 'loadbalancer' | 'nobody' = 'instance',
): AzureDocuments {
  const { name = 'edge', subscriptionId = SUBSCRIPTION, resourceGroup = GROUP, scaleSet } = machine;
  const pairs = machine.nics
    .flatMap((nic) => nic.addresses)
    .filter((address) => address.public !== undefined);
  return {
    instance: {
      compute: {
        azEnvironment: machine.environment ?? 'AzurePublicCloud',
        location: 'westeurope',
        name: scaleSet === undefined ? name : `${scaleSet}_${name}`,
        osType: 'Linux',
        resourceGroupName: resourceGroup,
        resourceId: vmId(machine),
        subscriptionId,
        tagsList: Object.entries(machine.tags ?? {}).map(([tag, value]) => ({ name: tag, value })),
        vmScaleSetName: scaleSet ?? '',
      },
      network: { interface: machine.nics.map((nic) => nicDocument(nic, told === 'instance')) },
    },
    ...(told === 'loadbalancer' && {
      loadbalancer: {
        loadbalancer: {
          publicIpAddresses: pairs.map((pair) => ({
            frontendIpAddress: inBrackets(pair.public!),
            privateIpAddress: inBrackets(pair.private),
          })),
          inboundRules: [],
          outboundRules: [],
        },
      },
    }),
    scheduledevents: { DocumentIncarnation: 1, Events: [] },
    token: TOKEN,
  };
}

function nicDocument({ mac, addresses, subnetCidr }: AzureNicDescription, withPublic: boolean): unknown {
  const family = (isIpv6: boolean): unknown[] =>
    addresses
      .filter((address) => address.private.includes(':') === isIpv6)
      .map((address) => ({
        privateIpAddress: address.private,
        publicIpAddress: withPublic ? (address.public ?? '') : '',
      }));
  const [address, prefix] = subnetCidr?.split('/') ?? [];
  return {
    macAddress: mac.replace(/[:-]/g, '').toUpperCase(),
    ipv4: { ipAddress: family(false), subnet: subnetCidr ? [{ address, prefix }] : [] },
    ipv6: { ipAddress: family(true) },
  };
}

function inBrackets(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
