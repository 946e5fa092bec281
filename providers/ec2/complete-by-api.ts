import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { familyOf } from '../../src/net/address.ts';
import type { ApiInterface } from './api-answer.ts';
import type { ApiMemory } from './api-memory.ts';
import { apiTopology, withApi } from './api-topology.ts';
import { askEc2, interfacesOf } from './ask-ec2.ts';
import { hasCredentials } from './has-credentials.ts';
import type { Imds } from './imds.ts';
import { type MachinePlace, placeFromMachine, placeFromMetadata } from './machine-place.ts';

/** A child costs half a second of processor time: where metadata answers, the API is asked this seldom. */
const COMPLETE_EVERY_MS = 300_000;
/** Where the API is all there is, a change has to be seen sooner. */
const REPLACE_EVERY_MS = 60_000;
/** A machine without public addresses may well be meant so: its start waits no longer than this. */
const COMPLETE_TIMEOUT_MS = 10_000;

/** Public addresses that metadata does not tell of, a carrier's in a Wavelength Zone for instance. */
export async function completeByApi(
  context: DiscoveryContext,
  imds: Imds,
  topology: Topology,
  signal: AbortSignal,
  memory: ApiMemory,
): Promise<Topology> {
  const place = await placeFromMetadata(imds, context.env);
  const inWavelength = /-wl\d/.test(place.zone ?? '');
  if (!inWavelength && !(await hasCredentials(context.env, imds))) return topology;
  try {
    const key = JSON.stringify(topology.interfaces);
    const timing = { everyMs: COMPLETE_EVERY_MS, timeoutMs: COMPLETE_TIMEOUT_MS };
    const interfaces = await remembered(context, place, key, signal, memory, timing);
    return withApi(topology, interfaces, () => inWavelength);
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted' || memory.relied)
      throw error;
    const note = `Metadata tells of no public address, and the EC2 API, which would know of a carrier's, gave no answer: ${error.message}`;
    return {
      ...topology,
      ...(inWavelength && { interfaces: topology.interfaces.map(withUnknownPublics) }),
      notes: [...(topology.notes ?? []), note],
    };
  }
}

/** Everything from the API, because metadata is switched off. The error, where there is one, names both. */
export async function replaceByApi(
  context: DiscoveryContext,
  switchedOff: DiscoveryError,
  signal: AbortSignal,
  memory: ApiMemory,
): Promise<Topology> {
  const osInterfaces = context.facts.interfaces;
  const key = `off ${osInterfaces.map((device) => device.mac).join()}`;
  try {
    const place = placeFromMachine(context);
    const timing = { everyMs: context.pollIntervalMs ?? REPLACE_EVERY_MS };
    const interfaces = await remembered(context, place, key, signal, memory, timing);
    return apiTopology(interfaces, osInterfaces, 'The instance metadata service is switched off.');
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    throw new DiscoveryError(
      switchedOff.code,
      `${switchedOff.message} The EC2 API was asked in its place: ${error.message}`,
      { cause: error },
    );
  }
}

async function remembered(
  context: DiscoveryContext,
  place: MachinePlace,
  key: string,
  signal: AbortSignal,
  memory: ApiMemory,
  { everyMs, timeoutMs }: { readonly everyMs: number; readonly timeoutMs?: number },
): Promise<readonly ApiInterface[]> {
  const now = context.clock.uptime();
  let last = memory.last;
  if (last?.key !== key || now - last.at >= everyMs) {
    const outcome = await ask();
    last = { key, at: context.clock.uptime(), outcome };
    memory.last = last;
  }
  if (last.outcome instanceof DiscoveryError) throw last.outcome;
  memory.relied = last.outcome.some((eni) => eni.addresses.some(({ publicAddress }) => publicAddress));
  return last.outcome;

  async function ask(): Promise<readonly ApiInterface[] | DiscoveryError> {
    try {
      const options = { diagnosis: false, signal, ...(timeoutMs !== undefined && { timeoutMs }) };
      return interfacesOf(await askEc2(context, place, options));
    } catch (error) {
      if (error instanceof DiscoveryError && error.code !== 'discovery.aborted') return error;
      throw error;
    }
  }
}

function withUnknownPublics(nic: Topology['interfaces'][number]): Topology['interfaces'][number] {
  const addresses = nic.addresses.map((mapping) =>
    familyOf(mapping.privateAddress) === 'ipv4' ? { ...mapping, publicUnknown: true as const } : mapping,
  );
  return { ...nic, addresses };
}
