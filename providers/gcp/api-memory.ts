import { askApi } from '../../src/discovery/ask-api.ts';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { familyOf } from '../../src/net/address.ts';
import type { ApiInstance, GcpAnswer, GcpQuestion } from './api-answer.ts';
import { type InstanceIdentity, reachesCompute, readIdentity, shortHostname } from './identity.ts';
import { type Metadata, metadataEndpoint } from './metadata.ts';
import { remedySentence } from './rights.ts';
import type { ToldInterface } from './told.ts';

/** The question costs a process and seconds, so it is not asked each time that the metadata is read. */
const ASK_AGAIN_MS = 300_000;
const ASK_AGAIN_AFTER_FAILURE_MS = 60_000;

/** What the API said for which metadata. Belongs to one watch. */
export interface ApiMemory {
  asked?: { readonly for: string; readonly at: number; readonly instance: ApiInstance | undefined };
  failed?: { readonly at: number; readonly error: DiscoveryError };
  /** Whether the caller runs with addresses from the API: then a failure is none, and nothing changes. */
  readonly relied?: boolean;
}

interface ApiWord {
  readonly instance: ApiInstance | undefined;
  readonly notes: readonly string[];
}

const NOTHING: ApiWord = { instance: undefined, notes: [] };

/**
 * Asks the API where the metadata server says nothing of an interface's access configs, or names no external
 * address on the whole machine. Without a token that the API accepts nobody is asked in vain.
 */
export async function askApiIfSilent(
  context: DiscoveryContext,
  signal: AbortSignal,
  metadata: Metadata,
  told: readonly ToldInterface[],
  memory: ApiMemory,
): Promise<ApiWord> {
  const inner = told.filter((nic) => nic.address !== undefined);
  const silent = inner.some((nic) => !nic.externalTold);
  const nothingPublic = inner.length > 0 && inner.every((nic) => nic.external === undefined);
  if (!silent && !nothingPublic) return NOTHING;
  const key = JSON.stringify(told);
  const { asked } = memory;
  const now = context.clock.now();
  if (asked?.for === key && now - asked.at < ASK_AGAIN_MS) return { instance: asked.instance, notes: [] };
  const { failed } = memory;
  if (failed && now - failed.at < ASK_AGAIN_AFTER_FAILURE_MS) return withoutAnswer(memory, failed.error);
  const identity = await readIdentity(metadata);
  const ownCredentials = Boolean(context.env['GOOGLE_APPLICATION_CREDENTIALS']);
  // An empty access config is an answer; only who may ask the API hears more.
  if (!silent && !ownCredentials && !reachesCompute(identity.scopes)) return NOTHING;
  try {
    const { instance } = await askCompute(context, signal, identity, false);
    if ('value' in instance) {
      memory.asked = { for: key, at: now, instance: instance.value };
      return { instance: instance.value, notes: [] };
    }
    throw new DiscoveryError(
      instance.refusal.code,
      `${instance.refusal.message}. ${remedySentence(instance.refusal, identity)}`,
    );
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    memory.failed = { at: now, error };
    return withoutAnswer(memory, error);
  }
}

/** What runs by the API's word goes on by it: by the last one, or by not being told otherwise. */
function withoutAnswer({ asked, relied }: ApiMemory, error: DiscoveryError): ApiWord {
  if (asked?.instance) return { instance: asked.instance, notes: [] };
  if (relied) throw error;
  const note = `The metadata server names no external address, and the Compute API could not be asked: ${error.message}`;
  return { instance: undefined, notes: [note] };
}

/** The API in place of a metadata server that is silent, for who has credentials of his own; else the error stands. */
export async function askApiInstead(
  context: DiscoveryContext,
  signal: AbortSignal,
  error: unknown,
): Promise<ApiInstance> {
  const down =
    error instanceof DiscoveryError &&
    ['discovery.metadata-unreachable', 'discovery.metadata-forbidden', 'discovery.metadata-timeout'].includes(
      error.code,
    );
  if (!down || !context.env['GOOGLE_APPLICATION_CREDENTIALS']) throw error;
  const project = context.env['GOOGLE_CLOUD_PROJECT'];
  const identity = { ...(project && { project }), instance: shortHostname() };
  const { instance } = await askCompute(context, signal, identity, false);
  if ('value' in instance) return instance.value;
  const { refusal } = instance;
  throw new DiscoveryError(
    refusal.code,
    `${error.message} The Compute API gave no answer either: ${refusal.message}. ${remedySentence(refusal, identity)}`,
    { cause: error },
  );
}

export function askCompute(
  { clock, env, facts }: DiscoveryContext,
  signal: AbortSignal,
  { project, zone, instance }: InstanceIdentity,
  diagnosis: boolean,
): Promise<GcpAnswer> {
  const own = facts.interfaces.filter((device) => !device.internal).flatMap((device) => device.addresses);
  const question: GcpQuestion = {
    ...(project !== undefined && { project }),
    ...(zone !== undefined && { zone }),
    instance,
    addresses: own.map(({ address }) => address).filter((address) => familyOf(address) === 'ipv4'),
    diagnosis,
  };
  const endpoint = metadataEndpoint(env);
  // The token comes from the metadata server, and that one is never behind a proxy.
  const direct = [env['NO_PROXY'] ?? env['no_proxy'], new URL(endpoint).hostname, '169.254.169.254'];
  const noProxy = direct.filter((host) => host).join(',');
  return askApi<GcpAnswer>(new URL('./api.ts', import.meta.url), question, {
    clock,
    signal,
    // With an address for it the SDK does not ask the DNS for the metadata server's name as well.
    env: { ...env, GCE_METADATA_HOST: new URL(endpoint).host, NO_PROXY: noProxy, no_proxy: noProxy },
  });
}
