import { quoted } from './discovery-error.ts';
import type { Topology } from './topology.ts';

const PREFIX = 'cloudsip-';
/** Above what any cloud lets an instance have of EC2's and Azure's 50 tags; others have no bound. */
const MAX_OPTIONS = 64;
const MAX_VALUE_LENGTH = 1024;
const MAX_NOTES = 5;

export interface TagOptions {
  /** By name, without the prefix. */
  readonly options: Readonly<Record<string, string>>;
  /** Sentences about tags that were meant for cloudsip and cannot be used. */
  readonly notes: readonly string[];
}

/** Whether a tag is meant for cloudsip. Azure's names know no case, so none does. */
export function isOurTag(name: string): boolean {
  return name.slice(0, PREFIX.length).toLowerCase() === PREFIX;
}

/** Whether it can name an option: only then is its value asked for where that is a question of its own. */
export function namesOption(name: string): boolean {
  return isOurTag(name) && /^[a-z0-9-]{1,64}$/i.test(name.slice(PREFIX.length));
}

/** The options that tags named `cloudsip-…` set. Of a name that stands twice the last one counts. */
export function tagOptions(tags: Iterable<readonly [name: string, value: string]>): TagOptions {
  const options = new Map<string, string>();
  const notes: string[] = [];
  const refuse = (name: string, why: string): void => {
    if (notes.length < MAX_NOTES) notes.push(`The tag ${quoted(name)} sets no option: ${why}.`);
  };
  for (const [name, value] of tags) {
    if (!isOurTag(name)) continue;
    const option = name.slice(PREFIX.length).toLowerCase();
    const text = value.trim();
    if (!namesOption(name)) {
      refuse(name, `after "${PREFIX}" it must have letters, digits and hyphens`);
    } else if (text.length > MAX_VALUE_LENGTH || /[\x00-\x1f\x7f]/.test(text)) {
      refuse(name, `its value must be one line of at most ${MAX_VALUE_LENGTH} characters`);
    } else if (options.size >= MAX_OPTIONS && !options.has(option)) {
      refuse(name, `only the first ${MAX_OPTIONS} tags named ${PREFIX}… count`);
    } else if (text !== '') options.set(option, text);
  }
  return { options: Object.fromEntries(options), notes };
}

/** The topology with what the tags set, and with what could not be used of them. */
export function withTags(topology: Topology, { options, notes }: TagOptions): Topology {
  const all = [...(topology.notes ?? []), ...notes];
  return {
    ...topology,
    ...(Object.keys(options).length > 0 && { options }),
    ...(all.length > 0 && { notes: all }),
  };
}
