import type { Metadata } from './metadata.ts';

const PREFIX = 'cloudsip-';
const MAX_OPTIONS = 64;
const MAX_VALUE_LENGTH = 1024;

export interface AttributeOptions {
  /** By name, without the prefix. */
  readonly options: Readonly<Record<string, string>>;
  /** Sentences: what was left out. */
  readonly notes: readonly string[];
}

/**
 * The custom metadata named `cloudsip-…`, the instance's before the project's. Only the list of names is read
 * whole: among the values stand keys and scripts that are none of our business.
 */
export async function readAttributes(metadata: Metadata): Promise<AttributeOptions> {
  const [own, shared] = await Promise.all([names(metadata, 'instance'), names(metadata, 'project')]);
  const places = new Map<string, string>();
  for (const [level, found] of [
    ['project', shared],
    ['instance', own],
  ] as const) {
    for (const name of found) places.set(name, `${level}/attributes/${name}`);
  }
  const wanted = [...places].sort(([a], [b]) => (a < b ? -1 : 1));
  const notes: string[] = [];
  if (wanted.length > MAX_OPTIONS) {
    notes.push(
      `Of ${wanted.length} metadata attributes named cloudsip-… only the first ${MAX_OPTIONS} are read.`,
    );
  }
  const read = await Promise.all(
    wanted.slice(0, MAX_OPTIONS).map(async ([name, path]) => {
      const value = (await metadata.get(path))?.trim();
      if (value === undefined) return [];
      if (value.length <= MAX_VALUE_LENGTH) return [[name.slice(PREFIX.length), value] as const];
      notes.push(
        `The metadata attribute ${name} is longer than ${MAX_VALUE_LENGTH} characters and is not read.`,
      );
      return [];
    }),
  );
  return { options: Object.fromEntries(read.flat()), notes };
}

async function names(metadata: Metadata, level: 'instance' | 'project'): Promise<string[]> {
  const listing = (await metadata.get(`${level}/attributes/`)) ?? '';
  return listing
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith(PREFIX) && /^[a-z0-9_-]{10,128}$/i.test(line));
}
