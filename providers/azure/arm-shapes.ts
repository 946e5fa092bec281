import type {
  EffectiveNetworkSecurityGroup,
  EffectiveNetworkSecurityRule,
  NetworkInterface,
  PublicIPAddress,
  VirtualNetwork,
} from '@azure/arm-network';
import { macOf } from '../../src/discovery/checked-values.ts';
import { familyOf, normalizeHost } from '../../src/net/address.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import type { ArmAddress, ArmNic, EffectiveGroup, EffectiveRule } from './arm-answer.ts';

export type NicShape = NetworkInterface;

/** What is no address or no MAC is left out: what the Resource Manager sends is as foreign as any answer. */
export function nicOf(nic: NicShape, publicById: ReadonlyMap<string, PublicIPAddress>): ArmNic {
  const addresses = (nic.ipConfigurations ?? []).flatMap((configuration): ArmAddress[] => {
    const privateAddress = addressOf(configuration.privateIPAddress);
    if (privateAddress === undefined) return [];
    const publicId = configuration.publicIPAddress?.id;
    const read = publicId === undefined ? undefined : publicById.get(publicId.toLowerCase());
    const publicAddress = addressOf(read?.ipAddress);
    const sku = read?.sku?.name;
    return [
      {
        privateAddress,
        primary: configuration.primary === true,
        ...(publicAddress !== undefined && { publicAddress }),
        ...(publicId !== undefined && { publicId }),
        ...(publicId !== undefined && !read && { unread: true as const }),
        ...(sku !== undefined && { sku }),
      },
    ];
  });
  return {
    id: nic.id ?? '',
    mac: macOf(nic.macAddress ?? '') ?? '',
    primary: nic.primary === true,
    addresses,
  };
}

export interface NetworkId {
  readonly id: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

/** The virtual networks that interfaces stand in, from the ids of their subnets. */
export function interfaceNetworks(nics: readonly NicShape[]): NetworkId[] {
  const byId = new Map<string, NetworkId>();
  for (const { subnet } of nics.flatMap((nic) => nic.ipConfigurations ?? [])) {
    const match =
      /^(\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/[^/]+\/virtualNetworks\/([^/]+))\/subnets\//i.exec(
        subnet?.id ?? '',
      );
    if (!match) continue;
    const [, id, subscriptionId, resourceGroup, name] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    byId.set(id.toLowerCase(), { id, subscriptionId, resourceGroup, name });
  }
  return [...byId.values()];
}

/** Its own address space and that of the networks that it is peered with: both are reached by private addresses. */
export function prefixesOf({ addressSpace, virtualNetworkPeerings }: VirtualNetwork): string[] {
  const connected = (virtualNetworkPeerings ?? []).filter(({ peeringState }) => peeringState === 'Connected');
  const spaces = [
    addressSpace,
    ...connected.map((peering) => peering.remoteVirtualNetworkAddressSpace ?? peering.remoteAddressSpace),
  ];
  return spaces
    .flatMap((space) => space?.addressPrefixes ?? [])
    .filter((prefix) => prefix.includes('/') && parseCidr(prefix));
}

export function groupOf({
  networkSecurityGroup,
  effectiveSecurityRules = [],
}: EffectiveNetworkSecurityGroup): EffectiveGroup {
  const towards = (wanted: string): EffectiveRule[] =>
    effectiveSecurityRules.filter(({ direction }) => direction === wanted).map(ruleOf);
  return { id: networkSecurityGroup?.id ?? '', inbound: towards('Inbound'), outbound: towards('Outbound') };
}

function ruleOf(rule: EffectiveNetworkSecurityRule): EffectiveRule {
  // As a person wrote it; what a service tag stands for comes beside it.
  const source = merged(
    rule.sourceAddressPrefix,
    rule.sourceAddressPrefixes,
    rule.expandedSourceAddressPrefix,
  );
  const destination = merged(
    rule.destinationAddressPrefix,
    rule.destinationAddressPrefixes,
    rule.expandedDestinationAddressPrefix,
  );
  const [remote, own] = rule.direction === 'Outbound' ? [destination, source] : [source, destination];
  return {
    name: rule.name ?? '',
    priority: rule.priority ?? Number.MAX_SAFE_INTEGER,
    allow: rule.access === 'Allow',
    protocol: /^(all|\*)$/i.test(rule.protocol ?? 'All') ? '*' : rule.protocol!.toLowerCase(),
    remote,
    own,
    sourcePorts: merged(rule.sourcePortRange, rule.sourcePortRanges),
    ports: merged(rule.destinationPortRange, rule.destinationPortRanges),
  };
}

/** A tag for a whole service is expanded to hundreds of networks. */
const MAX_PREFIXES = 256;

function merged(one: string | undefined, many: string[] | undefined, expanded: string[] = []): string[] {
  const written = [...(one === undefined ? [] : [one]), ...(many ?? [])];
  return [...new Set([...written, ...expanded.slice(0, MAX_PREFIXES)])];
}

function addressOf(text: string | undefined): string | undefined {
  return text !== undefined && familyOf(text) ? normalizeHost(text) : undefined;
}
