import { askApi } from '../../src/discovery/ask-api.ts';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { ArmAnswer, ArmQuestion } from './arm-answer.ts';
import { armCloud } from './arm-cloud.ts';
import type { AzureMachine } from './instance.ts';

const PROGRAM = new URL('./api.ts', import.meta.url);
/** The identity is asked of the metadata service, which must never be asked through a proxy. */
const NEVER_PROXIED = ['169.254.169.254'];

/** Asks the Resource Manager about this machine, in a child process. Rejects with a `DiscoveryError`. */
export async function askArm(
  { clock, env }: Pick<DiscoveryContext, 'clock' | 'env'>,
  { environment, resource, nics }: AzureMachine,
  { signal, timeoutMs, diagnosis }: { signal: AbortSignal; timeoutMs: number; diagnosis: boolean },
): Promise<ArmAnswer> {
  if (!resource) {
    throw new DiscoveryError(
      'discovery.api-failed',
      'The Resource Manager: expected to know what this VM is called there, but the metadata names no subscription, resource group and VM.',
    );
  }
  const question: ArmQuestion = {
    cloud: armCloud(environment, env),
    resource,
    macs: nics.map(({ mac }) => mac),
    diagnosis,
  };
  const given = env['NO_PROXY'] || env['no_proxy'];
  const NO_PROXY = [...(given ? [given] : []), ...NEVER_PROXIED].join(',');
  return askApi<ArmAnswer>(PROGRAM, question, { clock, signal, env: { ...env, NO_PROXY }, timeoutMs });
}
