import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Examination, Finding } from '../../src/discovery/finding.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { addressFindings } from './address-findings.ts';
import type { ApiInterface, CallResult } from './api-answer.ts';
import { askEc2 } from './ask-ec2.ts';
import { hasCredentials } from './has-credentials.ts';
import { openImds } from './imds.ts';
import { type MachinePlace, placeFromMachine, placeFromMetadata } from './machine-place.ts';
import { networkAclFindings } from './network-acl.ts';
import { publicAddressFindings, publicRouteFindings } from './public-route.ts';
import { rightsFindings } from './rights.ts';
import { securityGroupFindings } from './security-group.ts';
import { listenerSubject, type Target, targetsOf } from './target.ts';

/** What the EC2 API knows about why packets do not arrive. */
export async function examineEc2(
  context: DiscoveryContext,
  examination: Examination,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const { place, credentials } = await lookAround(context, signal);
    const answer = await askEc2(context, place, { diagnosis: true, signal });
    const rights = rightsFindings(answer, credentials);
    if ('refusal' in answer.interfaces) return rights;
    const interfaces = answer.interfaces.items;
    if (interfaces.length === 0) return [...rights, noInterfaces(place)];
    const targets = targetsOf(examination, interfaces);
    return [
      ...rights,
      ...addressFindings(examination.topology, interfaces),
      ...publicAddressFindings(examination, targets),
      ...unknownListeners(examination, interfaces, targets),
      ...given('security-group', answer.rules, (rules) => securityGroupFindings(targets, rules)),
      ...given('network-acl', answer.acls, (acls) => networkAclFindings(targets, acls)),
      ...given('public-route', answer.routeTables, (tables) => publicRouteFindings(targets, tables)),
    ];
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    const remedy = 'Try "aws ec2 describe-network-interfaces" on this machine.';
    return [{ check: 'api', verdict: 'warn', evidence: error.message, remedy }];
  }
}

/** Where to ask, and whether anybody gave this machine credentials to ask with. */
async function lookAround(
  context: DiscoveryContext,
  signal: AbortSignal,
): Promise<{ place: MachinePlace; credentials: boolean }> {
  const { env } = context;
  try {
    const imds = await openImds(context, signal);
    try {
      return { place: await placeFromMetadata(imds, env), credentials: await hasCredentials(env, imds) };
    } finally {
      imds.close();
    }
  } catch (error) {
    // What is wrong with metadata is not told here: the question to the API goes on without it.
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    return { place: placeFromMachine(context), credentials: await hasCredentials(env) };
  }
}

function given<Item>(
  check: string,
  result: CallResult<Item> | undefined,
  judge: (items: readonly Item[]) => readonly Finding[],
): readonly Finding[] {
  if (result && 'items' in result) return judge(result.items);
  const why = result ? `${result.refusal.action} was not answered.` : 'The API told nothing to look at.';
  return [{ check, verdict: 'skip', evidence: why }];
}

function noInterfaces({ region, instanceId }: MachinePlace): Finding {
  return {
    check: 'api',
    verdict: 'warn',
    evidence: `The EC2 API knows no interface of ${instanceId ?? 'this machine'} in ${region ?? "the SDK's own region"}.`,
    remedy:
      "Check that AWS_REGION and the credentials are those of the instance; in a container run cloudsip with the host's network.",
  };
}

/** Listeners on addresses that the API does not know: nothing of theirs was examined, and that is said. */
function unknownListeners(
  { listeners }: Examination,
  interfaces: readonly ApiInterface[],
  targets: readonly Target[],
): Finding[] {
  const examined = new Set(targets.map(({ subject }) => subject));
  return listeners
    .map(listenerSubject)
    .filter((subject) => !examined.has(subject))
    .map((subject) => ({
      check: 'security-group',
      subject,
      verdict: 'skip',
      evidence: `None of ${interfaces.map(({ id }) => id).join(', ')} has that address, so its groups are not known.`,
    }));
}
