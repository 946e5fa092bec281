import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import type { ArmAnswer } from './arm-answer.ts';
import { askArm } from './ask-arm.ts';
import { INSTANCE, LOAD_BALANCER, openAzureImds } from './imds.ts';
import { type AzureMachine, readInstance, readPublicAddresses } from './instance.ts';
import { azureTopology } from './topology.ts';

/** The agent does not serve before this is over, so it is short; later nobody waits. */
const FIRST_ANSWER_MS = 10_000;
const LATER_ANSWER_MS = 30_000;
/** How long an answer stands while the metadata says the same. */
const ANSWER_STANDS_MS = 300_000;
/** How soon what failed by itself (no connection, an overloaded service) is tried again. */
const TRY_AGAIN_MS = 60_000;

export interface AzureMetadata {
  readonly machine: AzureMachine;
  /** Private address → public address, as `/metadata/loadbalancer` tells. */
  readonly balanced: ReadonlyMap<string, string>;
  /** Why `balanced` is not known, and empty. */
  readonly balancerFailure?: DiscoveryError;
}

/** What the Resource Manager said, from one poll to the next: it is asked rarely, and never for what is known. */
interface ArmMemory {
  /** The addresses that it was asked about. */
  readonly question: string;
  readonly askedAt: number;
  /** The last that came, also where asking again has failed since. */
  readonly answer: ArmAnswer | undefined;
  readonly failure: DiscoveryError | undefined;
}

const memories = new WeakMap<DiscoveryContext, ArmMemory>();

/** Metadata first; the Resource Manager only where an address would have no known public one. */
export async function discoverAzure(
  context: DiscoveryContext,
  signal: AbortSignal,
  remembered: DiscoveryContext,
): Promise<Topology> {
  const metadata = await readMetadata(context, signal);
  const arm = needsArm(metadata) ? await recallArm(context, metadata, signal, remembered) : undefined;
  // Who has no load balancer does without its metadata, and so does who is told by the Resource Manager.
  if (metadata.balancerFailure && arm && !arm.answer) throw metadata.balancerFailure;
  return azureTopology(metadata, context.facts.interfaces, arm?.answer, arm?.failure);
}

export async function readMetadata(context: DiscoveryContext, signal: AbortSignal): Promise<AzureMetadata> {
  const imds = openAzureImds(context, signal);
  try {
    const asked = imds
      .get(LOAD_BALANCER)
      .then((document) => ({ balanced: readPublicAddresses(document, imds.url(LOAD_BALANCER)) }))
      .catch((error: unknown) => {
        if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
        return { balanced: new Map<string, string>(), balancerFailure: error };
      });
    const [instance, balancer] = await Promise.all([imds.get(INSTANCE), asked]);
    return { machine: readInstance(instance, imds.url(INSTANCE)), ...balancer };
  } finally {
    imds.close();
  }
}

function needsArm({ machine, balanced }: AzureMetadata): boolean {
  return machine.nics.some((nic) =>
    nic.addresses.some(
      ({ privateAddress, publicAddress }) => publicAddress === undefined && !balanced.has(privateAddress),
    ),
  );
}

async function recallArm(
  context: DiscoveryContext,
  { machine, balanced }: AzureMetadata,
  signal: AbortSignal,
  remembered: DiscoveryContext,
): Promise<ArmMemory> {
  const { clock, log } = context;
  const before = memories.get(remembered);
  const question = JSON.stringify([machine.nics, [...balanced]]);
  if (before?.question === question && clock.uptime() < before.askedAt + standsMs(before)) return before;
  let answer = before?.answer;
  let failure: DiscoveryError | undefined;
  try {
    const timeoutMs = before ? LATER_ANSWER_MS : FIRST_ANSWER_MS;
    answer = await askArm(context, machine, { signal, timeoutMs, diagnosis: false });
    if (before?.failure && before.answer)
      log.info({ provider: 'azure' }, 'the Resource Manager answers again');
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    failure = error;
    // Without an answer from before the topology has a note about it.
    if (answer && !before?.failure) {
      const sentence = 'the Resource Manager could not be asked; what it said before stays in use';
      log.warn({ provider: 'azure', err: error }, sentence);
    }
  }
  const memory: ArmMemory = { question, askedAt: clock.uptime(), answer, failure };
  memories.set(remembered, memory);
  return memory;
}

function standsMs({ answer, failure }: ArmMemory): number {
  const codes = failure ? [failure.code] : (answer?.refusals ?? []).map(({ code }) => code);
  const passing = codes.some((code) => code === 'discovery.api-timeout' || code === 'discovery.api-failed');
  return passing ? TRY_AGAIN_MS : ANSWER_STANDS_MS;
}
