import type {
  FakeAcl,
  FakeAclEntry,
  FakeEc2Account,
  FakeInterface,
  FakeRouteTable,
  FakeRule,
} from './fake-ec2-account.ts';

/** An element's content: a list becomes `<item>`s, undefined no element. */
export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [name: string]: Xml };

export interface Description {
  /** The element that holds the list. */
  readonly list: string;
  /** The values of a filter's name for each item; a filter that is not named here does not exist. */
  readonly items: readonly { readonly xml: Xml; readonly filters: Readonly<Record<string, unknown[]>> }[];
}

/** The calls that the stand-in knows (Amazon EC2 API reference, version 2016-11-15). */
export const describeCalls: Readonly<Record<string, (account: FakeEc2Account) => Description>> = {
  DescribeNetworkInterfaces: ({ interfaces }) => ({
    list: 'networkInterfaceSet',
    items: interfaces.map((eni) => ({
      xml: interfaceXml(eni),
      filters: { 'attachment.instance-id': [eni.instanceId], 'mac-address': [eni.mac] },
    })),
  }),
  DescribeSecurityGroupRules: ({ rules }) => ({
    list: 'securityGroupRuleSet',
    items: rules.map((rule, index) => ({
      xml: ruleXml(rule, index),
      filters: { 'group-id': [rule.groupId] },
    })),
  }),
  DescribeNetworkAcls: ({ acls }) => ({
    list: 'networkAclSet',
    items: acls.map((acl) => ({ xml: aclXml(acl), filters: { 'association.subnet-id': [...acl.subnets] } })),
  }),
  DescribeRouteTables: ({ routeTables }) => ({
    list: 'routeTableSet',
    items: routeTables.map((table) => ({
      xml: routeTableXml(table),
      filters: {
        'association.subnet-id': [...table.subnets],
        'association.main': table.main ? ['true'] : [],
        'vpc-id': [table.vpcId],
      },
    })),
  }),
};

function interfaceXml(eni: FakeInterface): Xml {
  return {
    networkInterfaceId: eni.id,
    subnetId: eni.subnetId,
    vpcId: eni.vpcId,
    ownerId: eni.ownerId,
    status: 'in-use',
    macAddress: eni.mac,
    privateIpAddress: eni.addresses[0]?.private,
    sourceDestCheck: true,
    groupSet: eni.groups.map((groupId) => ({ groupId, groupName: groupId })),
    attachment: {
      attachmentId: `eni-attach-${eni.deviceIndex}`,
      instanceId: eni.instanceId,
      instanceOwnerId: eni.ownerId,
      deviceIndex: eni.deviceIndex,
      networkCardIndex: eni.networkCard ?? 0,
      status: 'attached',
    },
    privateIpAddressesSet: eni.addresses.map((address, index) => ({
      privateIpAddress: address.private,
      primary: index === 0,
      association:
        address.public || address.carrier
          ? { publicIp: address.public, carrierIp: address.carrier, ipOwnerId: 'amazon' }
          : undefined,
    })),
    ipv6AddressesSet: (eni.ipv6s ?? []).map((ipv6Address) => ({ ipv6Address })),
    ipv4PrefixSet: eni.ipv4Prefixes?.map((ipv4Prefix) => ({ ipv4Prefix })),
  };
}

function ruleXml(
  { groupId, egress, protocol, from, to, cidr, prefixList, group }: FakeRule,
  index: number,
): Xml {
  return {
    securityGroupRuleId: `sgr-${index}`,
    groupId,
    groupOwnerId: '123456789012',
    isEgress: egress ?? false,
    ipProtocol: protocol,
    fromPort: from ?? -1,
    toPort: to ?? -1,
    ...(cidr !== undefined && { [cidr.includes(':') ? 'cidrIpv6' : 'cidrIpv4']: cidr }),
    prefixListId: prefixList,
    referencedGroupInfo: group ? { groupId: group } : undefined,
  };
}

function aclXml({ id, subnets, entries }: FakeAcl): Xml {
  const entryXml = ({ number, egress, action, protocol, cidr, from, to }: FakeAclEntry): Xml => ({
    ruleNumber: number,
    protocol,
    ruleAction: action,
    egress: egress ?? false,
    [cidr.includes(':') ? 'ipv6CidrBlock' : 'cidrBlock']: cidr,
    portRange: from === undefined ? undefined : { from, to },
  });
  return {
    networkAclId: id,
    associationSet: subnets.map((subnetId) => ({ networkAclId: id, subnetId })),
    entrySet: entries.map(entryXml),
  };
}

const targetElements: Readonly<Record<string, string>> = {
  nat: 'natGatewayId',
  eigw: 'egressOnlyInternetGatewayId',
  cagw: 'carrierGatewayId',
  tgw: 'transitGatewayId',
  eni: 'networkInterfaceId',
};

function routeTableXml({ id, vpcId, subnets, main, routes }: FakeRouteTable): Xml {
  return {
    routeTableId: id,
    vpcId,
    routeSet: routes.map(({ to, target, state = 'active' }) => ({
      [to.includes(':') ? 'destinationIpv6CidrBlock' : 'destinationCidrBlock']: to,
      [targetElements[target.split('-')[0]!] ?? 'gatewayId']: target,
      state,
    })),
    associationSet: [
      ...subnets.map((subnetId) => ({ routeTableId: id, subnetId, main: false })),
      ...(main ? [{ routeTableId: id, main: true }] : []),
    ],
  };
}

/** Elements as the API writes them. */
export function writeXml(value: Xml): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item: Xml) => `<item>${writeXml(item)}</item>`).join('');
  if (typeof value !== 'object') return escapeXml(String(value));
  return Object.entries(value)
    .map(([name, child]) => (child === undefined ? '' : `<${name}>${writeXml(child)}</${name}>`))
    .join('');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
