import type { ForwarderKind } from '../../src/media/media-contract.ts';

/** Of what a file of the laboratory tries by each forwarder: these, or the one of LAB_MEDIA whichever they are. */
export function labForwarders(...kinds: ForwarderKind[]): readonly ForwarderKind[] {
  const only = process.env['LAB_MEDIA'];
  return only ? [only as ForwarderKind] : kinds;
}
