import { garbled } from './checked-values.ts';
import type { MachineFacts } from './machine-facts.ts';
import { MetadataClient } from './metadata-client.ts';
import { pollTopology } from './poll-topology.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import { type TagOptions, withTags } from './tag-options.ts';
import type { Topology } from './topology.ts';

export interface MetadataFound extends Omit<Topology, 'provider' | 'options'> {
  /** What the instance's tags say, where the metadata tells of tags. */
  readonly tags?: TagOptions;
}

/** A cloud whose metadata service tells everything there is to know, in documents that are read anew each time. */
export interface MetadataCloud {
  readonly name: string;
  /** `http://169.254.169.254`. */
  readonly endpoint: string;
  readonly detect: (facts: MachineFacts) => boolean;
  readonly read: (client: MetadataClient, context: DiscoveryContext) => Promise<MetadataFound>;
}

/** In place of a cloud's own endpoint, for those clouds whose own tools know no variable for it. */
export const METADATA_ENDPOINT = 'CLOUDSIP_METADATA_ENDPOINT';

export function metadataProvider({ name, endpoint, detect, read }: MetadataCloud): Provider {
  const discover = async (context: DiscoveryContext, signal: AbortSignal): Promise<Topology> => {
    const baseUrl = context.env[METADATA_ENDPOINT] || endpoint;
    const client = new MetadataClient({ baseUrl, clock: context.clock, signal });
    try {
      const { tags, ...found } = await read(client, context);
      const topology: Topology = { provider: name, ...found };
      if (topology.interfaces.length > 0) return tags ? withTags(topology, tags) : topology;
      throw garbled(client.url('/'), 'network interfaces', 'none');
    } finally {
      client.close();
    }
  };
  return {
    name,
    detect,
    discover,
    watch(context, changed, signal, known) {
      void pollTopology({ provider: name, discover, context, changed, signal, known });
    },
  };
}
