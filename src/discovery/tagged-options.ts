import type { MetadataNode } from './metadata-node.ts';

const PREFIX = 'cloudsip-';

/** The options that tags named `cloudsip-…` set. What is no short text is no option and is left out. */
export function taggedOptions(...tags: readonly MetadataNode[]): Record<string, string> | undefined {
  return optionsOf(
    tags.flatMap((node) =>
      node
        .keys()
        .filter((key) => key.startsWith(PREFIX))
        .map((key) => [key, node.get(key).text() ?? ''] as const),
    ),
  );
}

/** For clouds whose tags are words without a value: `cloudsip-log-level=debug`, or `:` where `=` is not allowed. */
export function labelledOptions(labels: MetadataNode): Record<string, string> | undefined {
  return optionsOf(
    labels.items().flatMap((item) => {
      const [, key, value] = /^(cloudsip-[a-z-]+)[=:](.*)$/.exec(item.text() ?? '') ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    }),
  );
}

function optionsOf(
  pairs: readonly (readonly [key: string, value: string])[],
): Record<string, string> | undefined {
  const found = pairs
    .filter(([key, value]) => key.length <= 64 && value !== '' && value.length <= 1024)
    .map(([key, value]) => [key.slice(PREFIX.length), value] as const);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
