import { formatEndpoint } from '../net/address.ts';
import { isOneHost, scopeOf } from '../net/address-scope.ts';
import { STUN_TIMEOUT_MS, type StunSighting } from './ask-stun.ts';

/** What STUN says stands in front of one private address. `shared` is never advertised. */
export type StunVerdict =
  | { readonly kind: 'mapped'; readonly publicAddress: string; readonly by: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'shared'; readonly why: string }
  | { readonly kind: 'silent'; readonly why: string };

/**
 * Judges the sightings of all private addresses together. A 1-to-1 mapping keeps the port and is the same for every
 * destination; what differs, or has two private addresses behind it, is a gateway that others leave by as well.
 */
export function judgeSightings(
  sightings: readonly StunSighting[],
  servers: readonly string[],
): Map<string, StunVerdict> {
  const verdicts = new Map(sightings.map((sighting) => [sighting.privateAddress, judge(sighting, servers)]));
  const behind = new Map<string, string[]>();
  for (const [address, verdict] of verdicts) {
    if (verdict.kind !== 'mapped') continue;
    behind.set(verdict.publicAddress, [...(behind.get(verdict.publicAddress) ?? []), address]);
  }
  for (const [publicAddress, addresses] of behind) {
    if (addresses.length < 2) continue;
    const why = `${addresses.join(' and ')} are seen as one address, ${publicAddress}`;
    for (const address of addresses) verdicts.set(address, { kind: 'shared', why });
  }
  return verdicts;
}

function judge(sighting: StunSighting, servers: readonly string[]): StunVerdict {
  const { privateAddress, localPort, seen, failure } = sighting;
  if (failure !== undefined) return { kind: 'silent', why: `no socket could be opened there (${failure})` };
  const [first, second] = seen;
  if (!first || !second) {
    const answered = seen.map(({ server }) => server);
    const mute = servers.filter((server) => !answered.includes(server));
    const alone = first ? `only ${first.server} answered, and one alone is not believed; ` : '';
    return {
      kind: 'silent',
      why: `${alone}${mute.join(' and ')} did not answer within ${STUN_TIMEOUT_MS} ms`,
    };
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
