import { askApi } from '../../src/discovery/ask-api.ts';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { ApiInterface, Ec2Answer, Ec2Question, Refusal } from './api-answer.ts';
import { leastPolicy } from './least-policy.ts';
import type { MachinePlace } from './machine-place.ts';

export interface AskEc2Options {
  readonly diagnosis: boolean;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * Asks the EC2 API about this machine's interfaces: by the instance's id, or by their MACs where the id is not
 * known. Rejects with a `DiscoveryError` where there is no answer at all; refusals of calls stand in the answer.
 */
export async function askEc2(
  context: DiscoveryContext,
  { region, instanceId }: MachinePlace,
  { diagnosis, signal, timeoutMs }: AskEc2Options,
): Promise<Ec2Answer> {
  const interfaces = context.currentInterfaces?.() ?? context.facts.interfaces;
  const macs = interfaces.filter((device) => !device.internal).map((device) => device.mac);
  const question: Ec2Question = {
    ...(region !== undefined && { region }),
    ...(instanceId !== undefined && { instanceId }),
    macs: [...new Set(macs)].slice(0, 100),
    diagnosis,
  };
  if (instanceId === undefined && macs.length === 0) {
    throw new DiscoveryError(
      'discovery.api-failed',
      "The EC2 API could not be asked: neither the instance's id nor the MAC of an interface is known on this machine.",
    );
  }
  return askApi<Ec2Answer>(new URL('api.ts', import.meta.url), question, {
    clock: context.clock,
    signal,
    env: context.env,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

/** The interfaces of an answer, which has them or a reason. */
export function interfacesOf({ interfaces }: Ec2Answer): readonly ApiInterface[] {
  if ('refusal' in interfaces) throw refused(interfaces.refusal);
  if (interfaces.items.length > 0) return interfaces.items;
  throw new DiscoveryError(
    'discovery.api-failed',
    "ec2:DescribeNetworkInterfaces: expected the interfaces of this instance, came none. Check that AWS_REGION and the credentials are those of the instance; in a container run cloudsip with the host's network.",
  );
}

function refused({ code, message, action }: Refusal): DiscoveryError {
  return new DiscoveryError(code, `${message}. ${remedyOf(code, [action])}`);
}

/** What to do about a refused call. */
export function remedyOf(code: Refusal['code'], actions: readonly string[]): string {
  switch (code) {
    case 'discovery.api-forbidden':
      return `Attach this policy to the instance's role: ${leastPolicy(actions)}`;
    case 'discovery.api-credentials':
      return `Attach a role to the instance, or give credentials as AWS tools take them (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE), with this policy: ${leastPolicy(actions)}`;
    case 'discovery.api-timeout':
      return 'Give this machine a way to the endpoint: a public address, a NAT gateway, a proxy in HTTPS_PROXY, or an interface endpoint for com.amazonaws.REGION.ec2 in the VPC.';
    default:
      return 'Check AWS_REGION, AWS_ENDPOINT_URL_EC2 and HTTPS_PROXY, if any is set, and try "aws ec2 describe-network-interfaces" on this machine.';
  }
}
