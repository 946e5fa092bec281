import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { withTags } from '../../src/discovery/tag-options.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { familyOf } from '../../src/net/address.ts';
import type { ApiMemory } from './api-memory.ts';
import { type Imds, openImds } from './imds.ts';
import { readNetwork } from './network.ts';
import { readTagOptions } from './tags.ts';

/**
 * Metadata first. The API is asked where metadata is switched off, and where it tells of no public address at
 * all although the machine has credentials: carriers' addresses are known to the API alone.
 */
export async function discoverEc2(
  context: DiscoveryContext,
  signal: AbortSignal,
  memory: ApiMemory = {},
): Promise<Topology> {
  let imds: Imds | undefined;
  try {
    imds = await openImds(context, signal);
    const [network, tags] = await Promise.all([
      readNetwork(imds, context.facts.interfaces),
      readTagOptions(imds),
    ]);
    const topology = withTags(network, tags);
    if (!withoutPublicAddress(topology)) return topology;
    // Loaded where it is needed: most machines never get here.
    const { completeByApi } = await import('./complete-by-api.ts');
    return await completeByApi(context, imds, topology, signal, memory);
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code !== 'discovery.metadata-forbidden') throw error;
    const { replaceByApi } = await import('./complete-by-api.ts');
    return await replaceByApi(context, error, signal, memory);
  } finally {
    imds?.close();
  }
}

function withoutPublicAddress({ interfaces }: Topology): boolean {
  const v4 = interfaces
    .flatMap((nic) => nic.addresses)
    .filter((mapping) => familyOf(mapping.privateAddress) === 'ipv4');
  return v4.length > 0 && v4.every((mapping) => mapping.publicAddress === undefined);
}
