import type { AzureMachine, VmResource } from './instance.ts';

/** What discovery needs, and what the examination needs beside it. */
export const DISCOVERY_ACTIONS: readonly string[] = [
  'Microsoft.Network/networkInterfaces/read',
  'Microsoft.Network/publicIPAddresses/read',
];
export const SCALE_SET_ACTIONS: readonly string[] = [
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read',
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/ipConfigurations/publicIPAddresses/read',
];
export const NETWORK_ACTION = 'Microsoft.Network/virtualNetworks/read';
export const EXAMINATION_ACTION = 'Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action';

export function discoveryActions(resource: VmResource | undefined): readonly string[] {
  return resource?.scaleSet === undefined ? DISCOVERY_ACTIONS : SCALE_SET_ACTIONS;
}

/** The commands that give the machine an identity with exactly these rights. */
export function grantCommands({ resource }: AzureMachine, actions: readonly string[]): string {
  const group = resource?.resourceGroup ?? 'GROUP';
  const scope = `/subscriptions/${resource?.subscriptionId ?? 'SUBSCRIPTION'}/resourceGroups/${group}`;
  const role = JSON.stringify({
    Name: `cloudsip discovery ${group}`,
    Description: 'Lets cloudsip find its public addresses',
    Actions: actions,
    AssignableScopes: [scope],
  });
  return [
    identityCommand(resource),
    `az role definition create --role-definition '${role}'`,
    `az role assignment create --assignee-object-id "$(${principalQuery(resource)})" --assignee-principal-type ServicePrincipal --role 'cloudsip discovery ${group}' --scope '${scope}'`,
  ].join('\n');
}

function identityCommand(resource: VmResource | undefined): string {
  const { resourceGroup = 'GROUP', name = 'VM', scaleSet } = resource ?? {};
  return scaleSet === undefined
    ? `az vm identity assign --resource-group '${resourceGroup}' --name '${name}'`
    : `az vmss identity assign --resource-group '${resourceGroup}' --name '${scaleSet}'`;
}

function principalQuery(resource: VmResource | undefined): string {
  const { resourceGroup = 'GROUP', name = 'VM', scaleSet } = resource ?? {};
  return scaleSet === undefined
    ? `az vm show --resource-group '${resourceGroup}' --name '${name}' --query identity.principalId --output tsv`
    : `az vmss show --resource-group '${resourceGroup}' --name '${scaleSet}' --query identity.principalId --output tsv`;
}
