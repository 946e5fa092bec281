import { type AzureVmDescription, GROUP, SUBSCRIPTION, TOKEN, vmId } from './fake-azure-document.ts';

/** What the Resource Manager knows: resources as it sends them, by id. */
export interface ArmDocument {
  /** Who may ask. */
  readonly token: string;
  readonly networkInterfaces: readonly ArmResource[];
  readonly publicIPAddresses: readonly ArmResource[];
  readonly virtualNetworks: readonly ArmResource[];
  /** The effective security groups of an interface, by its id. */
  readonly effectiveGroups: Readonly<Record<string, readonly unknown[]>>;
  /** Actions that are refused, `Microsoft.Network/publicIPAddresses/read`. */
  readonly denied: readonly string[];
  readonly tls: { readonly keyFile: string; readonly certificateFile: string };
}

export interface ArmResource {
  readonly id: string;
  readonly name: string;
  readonly [key: string]: unknown;
}

/** The same VM as the Resource Manager knows it, beside interfaces of others in the same group. */
export function armDocument(
  machine: AzureVmDescription,
  tls: ArmDocument['tls'],
  more: Partial<ArmDocument> = {},
): ArmDocument {
  const { subscriptionId = SUBSCRIPTION, resourceGroup = GROUP, scaleSet } = machine;
  const network = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Network/virtualNetworks/vnet`;
  const publicIPAddresses: ArmResource[] = [];
  const networkInterfaces = machine.nics.map((nic, index): ArmResource => {
    const name = `nic-${index}`;
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${nic.resourceGroup ?? resourceGroup}`;
    const id = scaleSet
      ? `${vmId(machine)}/networkInterfaces/${name}`
      : `${group}/providers/Microsoft.Network/networkInterfaces/${name}`;
    const ipConfigurations = nic.addresses.map((address, place) => {
      const configuration = `${id}/ipConfigurations/ip-${place}`;
      const addressName = `public-${index}-${place}`;
      const publicId = scaleSet
        ? `${configuration}/publicIPAddresses/${addressName}`
        : `${group}/providers/Microsoft.Network/publicIPAddresses/${addressName}`;
      if (address.public !== undefined) {
        publicIPAddresses.push({
          id: publicId,
          name: addressName,
          sku: { name: 'Standard', tier: 'Regional' },
          properties: {
            provisioningState: 'Succeeded',
            ipAddress: address.public,
            publicIPAllocationMethod: 'Static',
            ipConfiguration: { id: configuration },
          },
        });
      }
      return {
        id: configuration,
        name: `ip-${place}`,
        properties: {
          privateIPAddress: address.private,
          privateIPAllocationMethod: 'Static',
          primary: place === 0,
          subnet: { id: `${network}/subnets/subnet-${index}` },
          ...(address.public !== undefined && { publicIPAddress: { id: publicId } }),
        },
      };
    });
    return {
      id,
      name,
      location: 'westeurope',
      properties: {
        provisioningState: 'Succeeded',
        macAddress: nic.mac.replace(/[:-]/g, '').toUpperCase().match(/../g)!.join('-'),
        primary: index === 0,
        // The Resource Manager is careless about case.
        virtualMachine: { id: vmId(machine).toUpperCase() },
        ipConfigurations,
      },
    };
  });
  return {
    token: TOKEN,
    networkInterfaces: [...strangers(subscriptionId, resourceGroup), ...networkInterfaces],
    publicIPAddresses,
    virtualNetworks: [
      {
        id: network,
        name: 'vnet',
        properties: {
          addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
          virtualNetworkPeerings: [
            peering('near', 'Connected', '10.9.0.0/16'),
            peering('cut', 'Disconnected', '10.10.0.0/16'),
          ],
        },
      },
    ],
    effectiveGroups: {},
    denied: [],
    tls,
    ...more,
  };
}

/** An effective group as it is sent: what a person wrote, and the rules that every group has. */
export function effectiveGroup(name: string, rules: readonly Record<string, unknown>[]): unknown {
  const standard = {
    protocol: 'All',
    sourcePortRange: '0-65535',
    sourcePortRanges: ['0-65535'],
    destinationPortRange: '0-65535',
    destinationPortRanges: ['0-65535'],
    direction: 'Inbound',
  };
  const inside = ['10.0.0.0/16', '10.9.0.0/16', '168.63.129.16/32'];
  return {
    networkSecurityGroup: {
      id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.Network/networkSecurityGroups/${name}`,
    },
    association: {},
    effectiveSecurityRules: [
      {
        ...standard,
        name: 'defaultSecurityRules/AllowVnetInBound',
        priority: 65000,
        access: 'Allow',
        sourceAddressPrefix: 'VirtualNetwork',
        sourceAddressPrefixes: ['VirtualNetwork'],
        expandedSourceAddressPrefix: inside,
        destinationAddressPrefix: 'VirtualNetwork',
        destinationAddressPrefixes: ['VirtualNetwork'],
        expandedDestinationAddressPrefix: inside,
      },
      {
        ...standard,
        name: 'defaultSecurityRules/DenyAllInBound',
        priority: 65500,
        access: 'Deny',
        sourceAddressPrefix: '0.0.0.0/0',
        sourceAddressPrefixes: ['0.0.0.0/0', '0.0.0.0/0'],
        destinationAddressPrefix: '0.0.0.0/0',
        destinationAddressPrefixes: ['0.0.0.0/0', '0.0.0.0/0'],
      },
      {
        ...standard,
        name: 'defaultSecurityRules/AllowInternetOutBound',
        priority: 65001,
        access: 'Allow',
        direction: 'Outbound',
        sourceAddressPrefix: '0.0.0.0/0',
        destinationAddressPrefix: 'Internet',
      },
      {
        ...standard,
        name: 'defaultSecurityRules/DenyAllOutBound',
        priority: 65500,
        access: 'Deny',
        direction: 'Outbound',
        sourceAddressPrefix: '0.0.0.0/0',
        destinationAddressPrefix: '0.0.0.0/0',
      },
      ...rules.map((rule) => ({ ...standard, access: 'Allow', ...rule })),
    ],
  };
}

function peering(name: string, peeringState: string, prefix: string): unknown {
  return {
    name,
    properties: { peeringState, remoteAddressSpace: { addressPrefixes: [prefix] } },
  };
}

/** Enough for several pages; one belongs to no machine. */
function strangers(subscriptionId: string, resourceGroup: string): ArmResource[] {
  return ['other-a', 'other-b', 'nobodys'].map((name, index) => ({
    id: `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Network/networkInterfaces/${name}`,
    name,
    properties: {
      macAddress: `00-0D-3A-00-00-0${index}`,
      ...(name !== 'nobodys' && { virtualMachine: { id: vmId({ name, subscriptionId, resourceGroup }) } }),
      ipConfigurations: [
        { name: 'ip', properties: { privateIPAddress: `10.0.0.${200 + index}`, primary: true } },
      ],
    },
  }));
}
