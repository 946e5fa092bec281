import type * as Sdk from '@aws-sdk/client-ec2';
import type { AclEntry, ApiAddress, ApiInterface, GroupRule, NetworkAcl, RouteTable } from './api-answer.ts';

/** Of the SDK's shapes, in which everything may be absent, what cloudsip goes by. */
export function interfaceOf(eni: Sdk.NetworkInterface): ApiInterface {
  const addresses = (eni.PrivateIpAddresses ?? []).toSorted(
    (a, b) => Number(b.Primary ?? false) - Number(a.Primary ?? false),
  );
  return {
    id: eni.NetworkInterfaceId ?? '',
    mac: (eni.MacAddress ?? '').toLowerCase(),
    ownerId: eni.OwnerId ?? '',
    deviceIndex: eni.Attachment?.DeviceIndex ?? 0,
    networkCard: eni.Attachment?.NetworkCardIndex ?? 0,
    subnetId: eni.SubnetId ?? '',
    vpcId: eni.VpcId ?? '',
    groups: (eni.Groups ?? []).flatMap(({ GroupId }) => GroupId ?? []),
    addresses: addresses.flatMap(({ PrivateIpAddress, Association }): ApiAddress[] => {
      if (PrivateIpAddress === undefined) return [];
      // In a Wavelength Zone the carrier's address stands where elsewhere the public one is.
      const publicAddress = Association?.CarrierIp ?? Association?.PublicIp;
      return [{ privateAddress: PrivateIpAddress, ...(publicAddress !== undefined && { publicAddress }) }];
    }),
    ipv6s: (eni.Ipv6Addresses ?? []).flatMap(({ Ipv6Address }) => Ipv6Address ?? []),
  };
}

export function ruleOf(rule: Sdk.SecurityGroupRule): GroupRule {
  return {
    groupId: rule.GroupId ?? '',
    egress: rule.IsEgress ?? false,
    protocol: rule.IpProtocol ?? '',
    from: rule.FromPort ?? -1,
    to: rule.ToPort ?? -1,
    peer: rule.CidrIpv4 ?? rule.CidrIpv6 ?? rule.PrefixListId ?? rule.ReferencedGroupInfo?.GroupId ?? '',
  };
}

export function aclOf(acl: Sdk.NetworkAcl): NetworkAcl {
  return {
    id: acl.NetworkAclId ?? '',
    subnetIds: (acl.Associations ?? []).flatMap(({ SubnetId }) => SubnetId ?? []),
    entries: (acl.Entries ?? []).map(entryOf),
  };
}

function entryOf(entry: Sdk.NetworkAclEntry): AclEntry {
  const { From: from, To: to } = entry.PortRange ?? {};
  return {
    number: entry.RuleNumber ?? 0,
    egress: entry.Egress ?? false,
    allow: entry.RuleAction === 'allow',
    protocol: entry.Protocol ?? '',
    cidr: entry.CidrBlock ?? entry.Ipv6CidrBlock ?? '',
    ...(from !== undefined && to !== undefined && { ports: { from, to } }),
  };
}

export function routeTableOf(table: Sdk.RouteTable): RouteTable {
  const associations = table.Associations ?? [];
  return {
    id: table.RouteTableId ?? '',
    vpcId: table.VpcId ?? '',
    subnetIds: associations.flatMap(({ SubnetId }) => SubnetId ?? []),
    main: associations.some(({ Main }) => Main === true),
    routes: (table.Routes ?? []).map((route) => ({
      to: route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock ?? route.DestinationPrefixListId ?? '',
      target:
        route.GatewayId ??
        route.NatGatewayId ??
        route.EgressOnlyInternetGatewayId ??
        route.CarrierGatewayId ??
        route.TransitGatewayId ??
        route.LocalGatewayId ??
        route.VpcPeeringConnectionId ??
        route.NetworkInterfaceId ??
        '',
      active: route.State !== 'blackhole',
    })),
  };
}
