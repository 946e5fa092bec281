import { type DiscoveryError, type DiscoveryErrorCode, quoted } from '../../src/discovery/discovery-error.ts';
import { joinOsInterfaces, type ToldInterface } from '../../src/discovery/join-os-interfaces.ts';
import { tagOptions, withTags } from '../../src/discovery/tag-options.ts';
import type { AddressMapping, Claim, NetworkInterface, Topology } from '../../src/discovery/topology.ts';
import type { OsInterface } from '../../src/net/os-interfaces.ts';
import type { ArmAddress, ArmAnswer } from './arm-answer.ts';
import type { AzureMetadata } from './discover.ts';
import type { AzureMachine } from './instance.ts';
import { discoveryActions } from './rights.ts';

/** Joins what metadata, Resource Manager and operating system know. Without an answer its place stays open. */
export function azureTopology(
  { machine, balanced }: AzureMetadata,
  osInterfaces: readonly OsInterface[],
  arm: ArmAnswer | undefined,
  failure: DiscoveryError | undefined,
): Topology {
  const armByAddress = new Map(
    (arm?.nics ?? []).flatMap((nic) =>
      nic.addresses.map((address) => [address.privateAddress, address] as const),
    ),
  );
  const armByMac = new Map((arm?.nics ?? []).map((nic) => [nic.mac, nic]));
  const told = machine.nics.map(({ mac, addresses, subnets }): ToldInterface => {
    const id = armByMac.get(mac)?.id.split('/').at(-1);
    return {
      mac,
      ...(id && { id: id.slice(0, 80) }),
      addresses: addresses.map(({ privateAddress, publicAddress }) =>
        mapping(
          privateAddress,
          publicAddress,
          balanced.get(privateAddress),
          armByAddress.get(privateAddress),
        ),
      ),
      subnets,
    };
  });
  // Accelerated networking shows each card twice, as a virtual function with the same MAC below the synthetic
  // one: the one that has the addresses is taken.
  const interfaces = inOrder(joinOsInterfaces(told, osInterfaces), osInterfaces);
  const unknown = interfaces.flatMap((nic) => nic.addresses).filter((address) => address.publicUnknown);
  const topology: Topology = {
    provider: 'azure',
    interfaces,
    localNetworks: [...new Set([...interfaces.flatMap((nic) => nic.subnets), ...(arm?.prefixes ?? [])])],
    ...(unknown.length > 0 && { notes: [unknownNote(machine, unknown, arm, failure)] }),
  };
  return withTags(topology, tagOptions(machine.tags.map(({ name, value }) => [name, value] as const)));
}

/** Metadata has the first word; whoever says something else is shown beside it. */
function mapping(
  privateAddress: string,
  basic: string | undefined,
  balanced: string | undefined,
  arm: ArmAddress | undefined,
): AddressMapping {
  const told = basic ?? balanced;
  const armUnread = !arm || arm.unread === true;
  if (told === undefined) {
    if (armUnread) return { privateAddress, provenance: arm ? 'api' : 'imds', publicUnknown: true };
    const { publicAddress } = arm;
    return { privateAddress, ...(publicAddress !== undefined && { publicAddress }), provenance: 'api' };
  }
  const disagreements: Claim[] = [];
  if (balanced !== undefined && balanced !== told) {
    disagreements.push({ provenance: 'imds', publicAddress: balanced });
  }
  if (!armUnread && arm.publicAddress !== told) {
    const { publicAddress } = arm;
    disagreements.push({ provenance: 'api', ...(publicAddress !== undefined && { publicAddress }) });
  }
  return {
    privateAddress,
    publicAddress: told,
    provenance: 'imds',
    ...(disagreements.length > 0 && { disagreements }),
  };
}

/** Metadata lists them in no order; the operating system's is that of the primary one first. */
function inOrder(
  interfaces: readonly NetworkInterface[],
  osInterfaces: readonly OsInterface[],
): NetworkInterface[] {
  const rank = ({ osName }: NetworkInterface): number => {
    const place = osInterfaces.findIndex(({ name }) => name === osName);
    return place < 0 ? osInterfaces.length : place;
  };
  return interfaces.toSorted((a, b) => rank(a) - rank(b));
}

/** What could not be told, why, and what to do about it. */
function unknownNote(
  machine: AzureMachine,
  unknown: readonly AddressMapping[],
  arm: ArmAnswer | undefined,
  failure: DiscoveryError | undefined,
): string {
  const shown = unknown.slice(0, 4).map(({ privateAddress }) => privateAddress);
  const addresses = `${shown.join(', ')}${unknown.length > shown.length ? ' and others' : ''}`;
  const actions = discoveryActions(machine.resource);
  const refusal = arm?.refusals.find(({ action }) => actions.includes(action));
  const found = failure ?? refusal;
  const why = found?.message ?? 'The Resource Manager shows no interface of this VM with that address';
  return `The metadata of Azure does not tell which public address stands in front of ${addresses} (it leaves out those of the Standard SKU), and the Resource Manager does not either. ${why.replace(/[.\s]+$/, '')}. ${remedy(machine, found?.code, actions)} Or say it yourself: --listen 'udp:${shown[0]} as PUBLIC-ADDRESS', or --advertise PUBLIC-ADDRESS where there is but one.`;
}

function remedy(
  machine: AzureMachine,
  code: DiscoveryErrorCode | undefined,
  actions: readonly string[],
): string {
  const nobody = code === 'discovery.api-anonymous' || code === 'discovery.api-credentials';
  if (nobody || code === 'discovery.api-forbidden') {
    const missing = nobody ? 'an identity with ' : '';
    return `Give the VM ${missing}the rights ${actions.join(' and ')}: "cloudsip doctor" shows the commands.`;
  }
  if (code === 'discovery.endpoint' || code === undefined)
    return 'Run "cloudsip doctor" to see what each side says.';
  return `Check that the VM reaches the Resource Manager (${quoted(machine.environment ?? 'AzurePublicCloud')}): an outbound way or a private endpoint, set by AZURE_RESOURCE_MANAGER_ENDPOINT.`;
}
