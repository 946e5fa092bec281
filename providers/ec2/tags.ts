import { quoted } from '../../src/discovery/discovery-error.ts';
import type { Imds } from './imds.ts';

/** An instance has at most 50 tags, a value at most 256 characters (EC2 user guide, "Tag restrictions"). */
const MAX_TAGS = 50;
const MAX_VALUE_LENGTH = 256;
const TAGS = 'tags/instance/';

export interface TagOptions {
  readonly options: Readonly<Record<string, string>>;
  /** Sentences about tags that were meant for cloudsip and cannot be used. */
  readonly notes: readonly string[];
}

/**
 * The options that the instance's tags named `cloudsip-…` set, without the prefix. None where tags are not shown
 * in metadata (`--instance-metadata-tags enabled`), which is the default.
 */
export async function readTagOptions(imds: Imds): Promise<TagOptions> {
  const listing = (await imds.get(TAGS)) ?? '';
  const meant = listing.split('\n').flatMap((line) => {
    const name = line.trim();
    return name.startsWith('cloudsip-') ? [name] : [];
  });
  const notes: string[] = [];
  const usable = meant.filter((name) => {
    const good = /^cloudsip-[a-z0-9-]{1,64}$/.test(name);
    if (!good && notes.length < 5)
      notes.push(
        `The tag ${quoted(name)} sets no option: after "cloudsip-" it must have lower-case letters, digits and hyphens.`,
      );
    return good;
  });
  const names = [...new Set(usable)].slice(0, MAX_TAGS);
  const values = await Promise.all(names.map((name) => imds.get(TAGS + name)));
  const options: [string, string][] = [];
  for (const [index, name] of names.entries()) {
    const value = values[index]?.trim();
    // Taken away while we were reading.
    if (value === undefined) continue;
    if (value.length > MAX_VALUE_LENGTH || /[\x00-\x1f\x7f]/.test(value)) {
      if (notes.length < 10)
        notes.push(
          `The tag ${quoted(name)} sets no option: its value must be one line of at most ${MAX_VALUE_LENGTH} characters.`,
        );
    } else options.push([name.slice('cloudsip-'.length), value]);
  }
  return { options: Object.fromEntries(options), notes };
}
