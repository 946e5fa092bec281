import { familyOf, isUnspecified, normalizeHost } from '../net/address.ts';
import type { StaticMapping } from './option-values.ts';
import { didYouMean } from './suggestion.ts';

/** Refuses what stands at `path` inside the section, saying what was expected there. */
export type Refuse = (path: readonly (string | number)[], expected: string, hint?: string) => never;

/** Reads a section of the configuration file from its plain value. */
export type SectionReader<Value> = (section: unknown, refuse: Refuse) => Value;

/** `static: {addresses: [{private: 10.0.0.15, public: 203.0.113.5}]}`. */
export const readStatic: SectionReader<{ readonly addresses: readonly StaticMapping[] }> = (
  section,
  refuse,
) => {
  const { addresses } = record(section, ['addresses'], [], refuse);
  if (!Array.isArray(addresses) || addresses.length === 0) {
    return refuse(['addresses'], 'a list such as [{private: 10.0.0.15, public: 203.0.113.5}]');
  }
  const mappings = addresses.map((entry: unknown, index): StaticMapping => {
    const at = ['addresses', index];
    const fields = record(entry, ['private', 'public'], at, refuse);
    const own = address(fields['private'], [...at, 'private'], refuse);
    if (fields['public'] === undefined || fields['public'] === null) return { private: own };
    const mapped = address(fields['public'], [...at, 'public'], refuse);
    if (familyOf(own) !== familyOf(mapped)) {
      refuse([...at, 'public'], `an address of the same family as ${own}`);
    }
    return { private: own, public: mapped };
  });
  mappings.forEach(({ private: own }, index) => {
    if (mappings.findIndex((mapping) => mapping.private === own) < index) {
      refuse(['addresses', index, 'private'], 'each private address once');
    }
  });
  return { addresses: mappings };
};

function record(
  value: unknown,
  keys: readonly string[],
  path: readonly (string | number)[],
  refuse: Refuse,
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(path, `a map with ${keys.join(' and ')}`);
  }
  for (const key of Object.keys(value)) {
    if (!keys.includes(key))
      refuse([...path, key], `no other keys than ${keys.join(' and ')}`, didYouMean(key, keys));
  }
  return value as Record<string, unknown>;
}

function address(value: unknown, path: readonly (string | number)[], refuse: Refuse): string {
  if (typeof value !== 'string' || familyOf(value) === undefined || isUnspecified(value)) {
    return refuse(path, 'a numeric address such as 10.0.0.15');
  }
  return normalizeHost(value);
}
