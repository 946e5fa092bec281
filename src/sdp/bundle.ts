import type { SessionDescription } from './session-description.ts';

/** Stands for a port that is not known yet (RFC 8840 4.1.1), so that all have it. */
const unknownPort = 9;

/**
 * For each section the one whose port it shares (RFC 9143); itself where it has its own. An answer puts all of
 * the group on the port of the first one named; an offer says so by equal ports, since a peer that knows no
 * BUNDLE may still take the others apart. `agreed` is what this gave for the last answer: by it streams share a port
 * in an offer that tells none yet (RFC 9143 7.5), as browsers make them.
 */
export function bundleHeads(
  description: SessionDescription,
  kind: 'offer' | 'answer',
  agreed: readonly number[] = [],
): number[] {
  const { media, bundles } = description;
  const heads = media.map((_section, index) => index);
  for (const mids of bundles) {
    const members = mids.map((mid) => media.findIndex((section) => section.mid === mid));
    const head = members.find((index) => index >= 0 && media[index]!.port !== 0);
    if (head === undefined) continue;
    for (const index of members) {
      const section = media[index];
      if (!section || section.port === 0) continue;
      const known = section.port !== unknownPort || (index in agreed && agreed[index] === agreed[head]);
      if (kind === 'answer' || (known && section.port === media[head]!.port)) heads[index] = head;
    }
  }
  return heads;
}
