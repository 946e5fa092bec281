import { isOurTag, namesOption, type TagOptions, tagOptions } from '../../src/discovery/tag-options.ts';
import type { Imds } from './imds.ts';

/** More than the 50 tags that an instance can have (EC2 user guide, "Tag restrictions"). */
const MAX_TAGS = 100;
const TAGS = 'tags/instance/';

/**
 * The options that the instance's tags named `cloudsip-…` set. None where tags are not shown in metadata
 * (`--instance-metadata-tags enabled`), which is the default.
 */
export async function readTagOptions(imds: Imds): Promise<TagOptions> {
  const listing = (await imds.get(TAGS)) ?? '';
  const names = listing.split('\n').map((line) => line.trim());
  const ours = names.filter(isOurTag).slice(0, MAX_TAGS);
  const read = await Promise.all(
    // Undefined: taken away while we were reading.
    ours.map(async (name) => [name, namesOption(name) ? await imds.get(TAGS + name) : ''] as const),
  );
  return tagOptions(read.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
}
