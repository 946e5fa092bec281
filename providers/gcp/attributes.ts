import { isOurTag, namesOption, type TagOptions, tagOptions } from '../../src/discovery/tag-options.ts';
import type { Metadata } from './metadata.ts';

/** Asked for one by one; there is room for thousands. */
const MAX_ATTRIBUTES = 100;

/**
 * The custom metadata named `cloudsip-…`, the instance's before the project's. Only the list of names is read
 * whole: among the values stand keys and scripts that are none of our business.
 */
export async function readAttributes(metadata: Metadata): Promise<TagOptions> {
  const [own, shared] = await Promise.all([names(metadata, 'instance'), names(metadata, 'project')]);
  const places = new Map<string, string>();
  for (const [level, found] of [
    ['project', shared],
    ['instance', own],
  ] as const) {
    for (const name of found) places.set(name, `${level}/attributes/${name}`);
  }
  const wanted = [...places].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, MAX_ATTRIBUTES);
  const read = await Promise.all(
    // Undefined: taken away while we were reading.
    wanted.map(async ([name, path]) => [name, namesOption(name) ? await metadata.get(path) : ''] as const),
  );
  return tagOptions(read.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
}

async function names(metadata: Metadata, level: 'instance' | 'project'): Promise<string[]> {
  const listing = (await metadata.get(`${level}/attributes/`)) ?? '';
  return listing
    .split('\n')
    .map((line) => line.trim())
    .filter(isOurTag);
}
