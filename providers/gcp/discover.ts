import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { type ApiMemory, askApiIfSilent, askApiInstead } from './api-memory.ts';
import { readAttributes } from './attributes.ts';
import { type Metadata, openMetadata } from './metadata.ts';
import { readInterfaces, type ToldInterface } from './told.ts';
import { toldByApi, topologyOf } from './topology.ts';

export const INTERFACES = 'instance/network-interfaces/?recursive=true&alt=json';

/** Asks the metadata server, and the API where that has no answer. `memory` outlives one question of many. */
export async function discover(
  context: DiscoveryContext,
  signal: AbortSignal,
  memory: ApiMemory = {},
): Promise<Topology> {
  const metadata = openMetadata(context, signal);
  const { interfaces } = context.facts;
  try {
    const [told, attributes] = await Promise.all([readTold(metadata), readAttributes(metadata)]);
    const { instance, notes } = await askApiIfSilent(context, signal, metadata, told, memory);
    return topologyOf(told, interfaces, instance, attributes, notes);
  } catch (error) {
    const instead = await askApiInstead(context, signal, error);
    return topologyOf(toldByApi(instead, interfaces), interfaces, instead, { options: {}, notes: [] }, [
      `Google's metadata server gave no answer (${error instanceof DiscoveryError ? error.code : 'unknown'}), so all of this is from the Compute API; attributes named cloudsip-… were not read.`,
    ]);
  } finally {
    metadata.close();
  }
}

export async function readTold(metadata: Metadata): Promise<ToldInterface[]> {
  const text = await metadata.get(INTERFACES);
  if (text !== undefined) return readInterfaces(text, metadata.url('instance/network-interfaces/'));
  throw new DiscoveryError(
    'discovery.metadata-failed',
    `GET ${metadata.url('instance/network-interfaces/')}: expected the machine's network interfaces, came 404. Check that Google's metadata server answers there, and not the one of a container platform that hides them.`,
  );
}
