import type { AzureMachine, VmResource } from './instance.ts';

export const READ_NICS = 'Microsoft.Network/networkInterfaces/read';
export const READ_PUBLIC = 'Microsoft.Network/publicIPAddresses/read';
/** The same for instances of uniform scale sets. */
export const READ_SCALE_SET_NICS =
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read';
export const READ_SCALE_SET_PUBLIC =
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/ipConfigurations/publicIPAddresses/read';
/** For the local networks alone. */
export const READ_NETWORKS = 'Microsoft.Network/virtualNetworks/read';
/** For the examination alone. */
export const EFFECTIVE_GROUPS = 'Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action';

/** Without these the public addresses are not found. */
export function discoveryActions(
  resource: VmResource | undefined,
): readonly [readNics: string, readPublic: string] {
  return resource?.scaleSet === undefined
    ? [READ_NICS, READ_PUBLIC]
    : [READ_SCALE_SET_NICS, READ_SCALE_SET_PUBLIC];
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
