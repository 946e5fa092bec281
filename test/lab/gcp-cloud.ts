import { type ComputeProject, computeProject } from '../support/fake-compute-project.ts';
import { fullScopes, type GceDescription, type GceNic } from '../support/fake-gce-document.ts';
import type { Lab } from './lab.ts';
import type { LabCloud, LabMetadata } from './lab-metadata.ts';

/** What /sys/class/dmi/id says on Compute Engine. */
const firmware: Readonly<Record<string, string>> = {
  bios_vendor: 'Google',
  board_vendor: 'Google',
  product_name: 'Google Compute Engine',
  sys_vendor: 'Google',
};

/** Beside the metadata's own port at its address. */
const API_PORT = 8080;

/** What a person sets for the API of the laboratory. */
export const computeEnvironment: Readonly<Record<string, string>> = {
  CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `http://169.254.169.254:${API_PORT}/compute/v1/`,
};

/** The address of a forwarding rule: its packets arrive with that destination. */
export const FORWARDED = '203.0.113.6';

/** Two interfaces with an external address each, an alias, and an address of a forwarding rule. */
export const gcpCloud: LabCloud<GceDescription> = {
  firmware,
  program: 'fake-gce.ts',
  describe: (lab, hostName) => ({ nics: nicsOf(lab, hostName), scopes: fullScopes }),
};

/** The same machine, but of access configs its metadata says nothing. */
export const silentGcpCloud: LabCloud<GceDescription> = {
  ...gcpCloud,
  describe: (lab, hostName) => ({
    nics: nicsOf(lab, hostName).map(({ external: _untold, ...nic }) => nic),
    scopes: fullScopes,
  }),
};

function nicsOf(lab: Lab, hostName: string): GceNic[] {
  return lab.host(hostName).spec.interfaces.map(({ mac, addresses }, index) => {
    const [ip = '', ...aliases] = addresses.map((address) => address.split('/')[0]!);
    return {
      mac: mac!,
      ip,
      subnetmask: '255.255.255.0',
      external: lab.publicAddress(ip) ?? null,
      aliases: aliases.map((alias) => `${alias}/32`),
      ...(index === 0 && { forwarded: [FORWARDED] }),
      mtu: 1500,
    };
  });
}

/**
 * What Google's edge and its guest agent do for a forwarding rule: the packets keep the rule's address, and the
 * machine takes that for its own by a route. The alias has nothing in front any more.
 */
export async function forward(lab: Lab): Promise<void> {
  const vm = lab.host('vm');
  await lab.setPublicAddress('10.0.0.16', undefined);
  await lab.setPublicAddress(FORWARDED, FORWARDED);
  await lab.host('router').run('ip', ['route', 'add', FORWARDED, 'via', vm.address]);
  await vm.run('ip', [
    'route',
    'add',
    'to',
    'local',
    FORWARDED,
    'scope',
    'host',
    'dev',
    'ens5',
    'proto',
    '66',
  ]);
  await vm.run('ip', ['rule', 'add', 'from', FORWARDED, 'table', '105']);
}

/** The truth as the API has it. */
export function accountOf(
  lab: Lab,
  effectiveFirewalls: ComputeProject['effectiveFirewalls'] = {},
): ComputeProject {
  const nics = nicsOf(lab, 'vm').map(({ ip, external }) => ({
    ...(ip !== undefined && { address: ip }),
    ...(external && { external }),
  }));
  return computeProject(nics, { effectiveFirewalls });
}

export function startCompute(
  lab: Lab,
  account: ComputeProject = accountOf(lab),
): Promise<LabMetadata<ComputeProject>> {
  return lab.startService('fake-compute.ts', account, API_PORT);
}
