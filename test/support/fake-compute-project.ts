import { gceAccount, gceInstance, gceProject, gceZone } from './fake-gce-document.ts';

/** A project of Compute Engine, in the wire shapes of the REST API (`compute#instance` and so on). */
export interface ComputeProject {
  readonly instance: Readonly<Record<string, unknown>>;
  /** Answers of `getEffectiveFirewalls` by the name of the interface. */
  readonly effectiveFirewalls?: Readonly<Record<string, unknown>>;
  /** By name. */
  readonly networks?: Readonly<Record<string, unknown>>;
  /** Permissions that the machine's account lacks. */
  readonly denied?: readonly string[];
}

const API = `https://www.googleapis.com/compute/v1/projects/${gceProject}`;
export const NETWORK: string = `${API}/global/networks/default`;

export interface ApiNicSpec {
  readonly address?: string;
  readonly external?: string;
  readonly ipv6?: string;
  readonly network?: string;
}

/** An account with one instance, in the API's own shapes. */
export function computeProject(
  nics: readonly ApiNicSpec[],
  more: Partial<ComputeProject> = {},
  tags: readonly string[] = ['sip'],
): ComputeProject {
  return {
    instance: {
      kind: 'compute#instance',
      id: '8087716956832600049',
      name: gceInstance,
      zone: `${API}/zones/${gceZone}`,
      tags: { items: tags },
      serviceAccounts: [{ email: gceAccount, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }],
      networkInterfaces: nics.map(({ address, external, ipv6, network = NETWORK }, index) => ({
        kind: 'compute#networkInterface',
        name: `nic${index}`,
        network,
        ...(address && { networkIP: address }),
        ...(external && {
          accessConfigs: [{ kind: 'compute#accessConfig', type: 'ONE_TO_ONE_NAT', natIP: external }],
        }),
        ...(ipv6 && {
          ipv6AccessConfigs: [{ type: 'DIRECT_IPV6', externalIpv6: ipv6, externalIpv6PrefixLength: 96 }],
        }),
      })),
    },
    ...more,
  };
}
