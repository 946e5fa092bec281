import { hostname } from 'node:os';
import type { Metadata } from './metadata.ts';

/** Which instance this is, as the API wants to know it, and what its token may be used for. */
export interface InstanceIdentity {
  readonly project?: string;
  readonly zone?: string;
  readonly instance: string;
  readonly serviceAccount?: string;
  /** Of its token; undefined where it has no service account. */
  readonly scopes?: readonly string[];
}

/** Names, not the numeric id: that exceeds what a JSON number can carry. */
export async function readIdentity(metadata: Metadata): Promise<InstanceIdentity> {
  const [project, zone, instance, email, scopes] = await Promise.all(
    [
      'project/project-id',
      'instance/zone',
      'instance/name',
      'instance/service-accounts/default/email',
      'instance/service-accounts/default/scopes',
    ].map(async (path) => (await metadata.get(path))?.trim() || undefined),
  );
  return {
    ...(project !== undefined && { project }),
    // `projects/123/zones/europe-west3-a`
    ...(zone !== undefined && { zone: zone.split('/').at(-1)! }),
    instance: instance ?? shortHostname(),
    ...(email !== undefined && { serviceAccount: email }),
    ...(scopes !== undefined && { scopes: scopes.split(/\s+/) }),
  };
}

/** The instance's name is the first label of its host name, unless somebody gave it another one. */
export function shortHostname(): string {
  return hostname().split('.')[0]!;
}

/** Whether a token with these scopes is accepted by the Compute API. */
export function reachesCompute(scopes: readonly string[] | undefined): boolean {
  return (scopes ?? []).some((scope) =>
    /^https:\/\/www\.googleapis\.com\/auth\/(cloud-platform(\.read-only)?|compute(\.readonly)?)$/.test(scope),
  );
}
