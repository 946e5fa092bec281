import { familyOf, formatEndpoint } from '../net/address.ts';
import { isOneHost, scopeOf } from '../net/address-scope.ts';
import { STUN_TIMEOUT_MS, type StunSighting } from './ask-stun.ts';

/** What STUN says stands in front of one private address. `shared` is never advertised. */
export type StunVerdict =
  | { readonly kind: 'mapped'; readonly publicAddress: string; readonly by: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'shared'; readonly why: string }
  | { readonly kind: 'silent'; readonly why: string }
  /** Nothing hangs on it: a person named what is advertised, or nobody was asked yet. */
  | { readonly kind: 'aside'; readonly warning?: string };

/** What one socket was told, and by which name its listener goes, where a person wrote that. */
export interface Witness extends StunSighting {
  readonly written?: string | undefined;
}

/**
 * Judges the sightings of all private addresses together. A 1-to-1 mapping keeps the port and is the same for every
 * destination; what differs, or has two private addresses behind it, is a gateway that others leave by as well.
 *
 * A listener that a person has named is no evidence against its address: behind a gateway with a static mapping of
 * ports, `as HOST:PORT` is right, and the port that its packets leave by may be any.
 */
export function judgeSightings(
  witnesses: readonly Witness[],
  servers: readonly string[],
): Map<string, StunVerdict> {
  const verdicts = new Map<string, StunVerdict>();
  for (const [address, all] of groupedByAddress(witnesses)) {
    const unnamed = all.filter(({ written }) => written === undefined);
    const judged = (unnamed.length > 0 ? unnamed : all).map((each) => judge(each, servers));
    verdicts.set(address, together(judged));
  }
  const behind = new Map<string, Set<string>>();
  for (const { privateAddress, seen } of witnesses) {
    for (const { mapped } of seen) {
      behind.set(mapped.address, (behind.get(mapped.address) ?? new Set()).add(privateAddress));
    }
  }
  for (const [address, verdict] of verdicts) {
    if (verdict.kind !== 'mapped') continue;
    const addresses = behind.get(verdict.publicAddress)!;
    if (addresses.size < 2) continue;
    const why = `${[...addresses].join(' and ')} are seen as one address, ${verdict.publicAddress}`;
    verdicts.set(address, { kind: 'shared', why });
  }
  for (const [address, all] of groupedByAddress(witnesses)) {
    const { kind } = verdicts.get(address)!;
    if (kind !== 'shared' && kind !== 'silent') continue;
    if (all.every(({ written }) => written !== undefined)) verdicts.set(address, named(all));
  }
  return verdicts;
}

function groupedByAddress(witnesses: readonly Witness[]): Map<string, Witness[]> {
  return Map.groupBy(witnesses, ({ privateAddress }) => privateAddress);
}

/** Of several listeners on one address the one that speaks against it counts. */
function together(judged: readonly StunVerdict[]): StunVerdict {
  const of = (kind: StunVerdict['kind']) => judged.find((verdict) => verdict.kind === kind);
  const against = of('shared') ?? of('silent');
  if (against) return against;
  const seen = judged.map((verdict) => (verdict.kind === 'mapped' ? verdict.publicAddress : 'itself'));
  const other = seen.find((address) => address !== seen[0]);
  if (other === undefined) return judged[0]!;
  return { kind: 'shared', why: `one of its listeners is seen as ${seen[0]}, another as ${other}` };
}

function named(all: readonly Witness[]): StunVerdict {
  for (const { privateAddress, localPort, written, seen } of all) {
    const [first] = seen;
    if (!first || !familyOf(written!) || seen.some(({ mapped }) => mapped.address === written)) continue;
    const bound = formatEndpoint({ address: privateAddress, port: localPort });
    const warning = `${bound} is advertised as ${written} as you wrote, but ${first.server} sees it as ${formatEndpoint(first.mapped)}: callers may not reach it.`;
    return { kind: 'aside', warning };
  }
  return { kind: 'aside' };
}

function judge(sighting: StunSighting, servers: readonly string[]): StunVerdict {
  const { privateAddress, localPort, seen, declined, failure } = sighting;
  if (failure !== undefined) return { kind: 'silent', why: `no socket could be opened there (${failure})` };
  const [first, second] = seen;
  if (!first || !second) {
    const known = [...seen, ...declined].map(({ server }) => server);
    const mute = servers.filter((server) => !known.includes(server));
    const reasons = [
      ...(first ? [`only ${first.server} answered, and one alone is not believed`] : []),
      ...declined.map(({ server, why }) => `${server} ${why}`),
      ...(mute.length > 0 ? [`${mute.join(' and ')} did not answer within ${STUN_TIMEOUT_MS} ms`] : []),
    ];
    return { kind: 'silent', why: reasons.join('; ') };
  }
  const other = seen.find(
    ({ mapped }) => mapped.address !== first.mapped.address || mapped.port !== first.mapped.port,
  );
  if (other) {
    const told = [first, other].map(({ server, mapped }) => `${server} sees ${formatEndpoint(mapped)}`);
    return { kind: 'shared', why: told.join(', ') };
  }
  const { address, port } = first.mapped;
  if (port !== localPort) {
    return { kind: 'shared', why: `port ${localPort} is seen as ${formatEndpoint(first.mapped)}` };
  }
  if (address === privateAddress) return { kind: 'none' };
  if (!isReachable(address))
    return { kind: 'shared', why: `it is seen as ${address}, which nobody can reach` };
  return { kind: 'mapped', publicAddress: address, by: seen.map(({ server }) => server).join(' and ') };
}

/** No multicast, no reserved network, nothing of this machine or its network: a server may say anything. */
function isReachable(address: string): boolean {
  if (!isOneHost(address) || scopeOf(address) !== 'public') return false;
  return !address.includes(':') || /^[23]/.test(address);
}
