import type { MetadataNode } from './metadata-node.ts';
import { isOurTag, type TagOptions, tagOptions } from './tag-options.ts';

/** Of tags in a document: an object of names and values. What is no text is no option. */
export function taggedOptions(tags: MetadataNode): TagOptions {
  return tagOptions(
    tags
      .keys()
      .filter(isOurTag)
      .map((key) => [key, tags.get(key).text() ?? ''] as const),
  );
}

/** For clouds whose tags are words without a value: `cloudsip-log-level=debug`, or `:` where `=` is not allowed. */
export function labelledOptions(labels: MetadataNode): TagOptions {
  return tagOptions(
    labels.items().flatMap((item) => {
      const [, key, value] = /^([^=:]+)[=:](.*)$/s.exec(item.text() ?? '') ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    }),
  );
}
