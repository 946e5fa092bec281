import type { Endpoint } from '../net/address.ts';

/** Where the packets of a socket should come from, by all that was said. */
export interface ExpectedSource {
  /** Of the SDP; undefined where it names nothing that can be sent to. */
  readonly described: Endpoint | undefined;
  /** Where the side's SIP comes from; undefined where nobody knows. Behind a NAT media mostly comes from there too. */
  readonly signalling: string | undefined;
  /** For RTCP: the address that RTP comes from; undefined for RTP itself. */
  readonly beside?: (() => string | undefined) | undefined;
}

/**
 * How well a source fits: 3 as described, 2 by its address or that of the signalling, 1 not at all. A stranger
 * who sprays packets over all ports has 1 unless he forges his address, and then he hears nothing (RFC 7362 6).
 */
export function rankOf(source: Endpoint, expected: ExpectedSource | undefined): 1 | 2 | 3 {
  if (!expected) return 1;
  const { described, signalling } = expected;
  if (described?.address === source.address) return described.port === source.port ? 3 : 2;
  if (source.address === signalling) return 2;
  return expected.beside && source.address === expected.beside() ? 2 : 1;
}

/** What the remote is still worth where the side's SIP comes from elsewhere now: RTCP is not held by where RTP was. */
export function rankAfterMove(remote: Endpoint | undefined, expected: ExpectedSource): number {
  return remote ? rankOf(remote, { ...expected, beside: undefined }) : 0;
}

/**
 * True where a source of this rank takes the place of the remote. While the window is open it has to fit better
 * than all before it, so that nobody takes over from whom is as good. Later, who was never heard may still
 * begin, but not a stranger.
 */
export function takesOver(
  learning: boolean,
  rank: number,
  best: number,
  expected: ExpectedSource | undefined,
): boolean {
  // Reports come from where the media comes from, and few calls suffer without them.
  if (rank === 1 && expected?.beside) return false;
  if (learning) return rank > best;
  return rank > 1 || (expected?.described === undefined && expected?.signalling === undefined);
}

/** From where a source may still begin after the window, where none was heard: see `takesOver`. Undefined for anywhere. */
export function lateAddresses({ described, signalling, beside }: ExpectedSource): string[] | undefined {
  if (!described && signalling === undefined && !beside) return undefined;
  return [described?.address, signalling, beside?.()].filter((address) => address !== undefined);
}
