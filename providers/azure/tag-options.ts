import { quoted } from '../../src/discovery/discovery-error.ts';
import type { AzureMachine } from './instance.ts';

const PREFIX = 'cloudsip-';
/** A resource has at most 50 tags, a value at most 256 characters. */
const MAX_OPTIONS = 50;
const MAX_VALUE_LENGTH = 256;
const MAX_NOTES = 5;

export interface TagOptions {
  readonly options: Readonly<Record<string, string>>;
  /** Sentences about tags that were meant for cloudsip and cannot be used. */
  readonly notes: readonly string[];
}

/** The options that the VM's tags named `cloudsip-…` set, without the prefix. Azure's tag names know no case. */
export function tagOptions(tags: AzureMachine['tags']): TagOptions {
  const options = new Map<string, string>();
  const notes: string[] = [];
  const refuse = (name: string, why: string): void => {
    if (notes.length < MAX_NOTES) notes.push(`The tag ${quoted(name)} sets no option: ${why}.`);
  };
  for (const { name, value } of tags) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(PREFIX)) continue;
    const option = lower.slice(PREFIX.length);
    if (!/^[a-z0-9-]{1,64}$/.test(option)) {
      refuse(name, 'after "cloudsip-" it must have letters, digits and hyphens');
    } else if (value.length > MAX_VALUE_LENGTH || /[\x00-\x1f\x7f]/.test(value)) {
      refuse(name, `its value must be one line of at most ${MAX_VALUE_LENGTH} characters`);
    } else if (options.size < MAX_OPTIONS) options.set(option, value.trim());
  }
  return { options: Object.fromEntries(options), notes };
}
