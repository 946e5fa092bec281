import { familyOf, isUnspecified } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';

const PROVENANCES: readonly unknown[] = ['imds', 'api', 'config', 'stun', 'os'];
const MAX_ITEMS = 1024;
const MAX_TEXT = 2048;

/**
 * What is wrong with a topology that somebody else's code made, as sentences with the place first; none where it
 * can be used.
 */
export function topologyProblems(value: unknown, provider: string): string[] {
  const problems: string[] = [];
  const expect = (at: string, expected: string, found: unknown): void => {
    problems.push(`${at}: expected ${expected}, found ${shown(found)}`);
  };
  const record = (at: string, found: unknown): Record<string, unknown> => {
    if (typeof found === 'object' && found !== null && !Array.isArray(found)) {
      return found as Record<string, unknown>;
    }
    expect(at, 'an object', found);
    return {};
  };
  const list = (at: string, found: unknown): readonly unknown[] => {
    if (Array.isArray(found) && found.length <= MAX_ITEMS) return found;
    expect(at, `a list of at most ${MAX_ITEMS}`, Array.isArray(found) ? `${found.length} items` : found);
    return [];
  };
  const text = (at: string, found: unknown): void => {
    if (typeof found !== 'string' || found.length > MAX_TEXT) expect(at, 'a short text', found);
  };
  const networks = (at: string, found: unknown): void => {
    for (const [index, network] of list(at, found).entries()) {
      if (typeof network !== 'string' || !network.includes('/') || !parseCidr(network)) {
        expect(`${at}[${index}]`, 'a network such as 10.0.0.0/24', network);
      }
    }
  };
  const claim = (at: string, found: Record<string, unknown>): void => {
    if (!PROVENANCES.includes(found['provenance'])) {
      expect(`${at}.provenance`, `one of ${PROVENANCES.join(', ')}`, found['provenance']);
    }
    const address = found['publicAddress'];
    if (address !== undefined && !isAddress(address)) expect(`${at}.publicAddress`, 'an IP address', address);
  };

  const topology = record('topology', value);
  if (problems.length > 0) return problems;
  if (topology['provider'] !== provider) expect('provider', `"${provider}"`, topology['provider']);
  const seen = new Set<unknown>();
  for (const [index, item] of list('interfaces', topology['interfaces']).entries()) {
    const at = `interfaces[${index}]`;
    const nic = record(at, item);
    if (typeof nic['mac'] !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(nic['mac'])) {
      expect(`${at}.mac`, 'a MAC address in lower case with colons', nic['mac']);
    }
    for (const key of ['osName', 'id']) if (nic[key] !== undefined) text(`${at}.${key}`, nic[key]);
    if (nic['mtu'] !== undefined && !Number.isSafeInteger(nic['mtu'])) {
      expect(`${at}.mtu`, 'a whole number', nic['mtu']);
    }
    networks(`${at}.subnets`, nic['subnets']);
    for (const [position, entry] of list(`${at}.addresses`, nic['addresses']).entries()) {
      const place = `${at}.addresses[${position}]`;
      const mapping = record(place, entry);
      const { privateAddress, publicAddress, publicUnknown, disagreements } = mapping;
      if (!isAddress(privateAddress)) expect(`${place}.privateAddress`, 'an IP address', privateAddress);
      else if (seen.has(privateAddress))
        expect(`${place}.privateAddress`, 'each address once', privateAddress);
      seen.add(privateAddress);
      claim(place, mapping);
      if (publicUnknown !== undefined && (publicUnknown !== true || publicAddress !== undefined)) {
        expect(`${place}.publicUnknown`, 'true or nothing, and no publicAddress beside it', publicUnknown);
      }
      const claims = disagreements === undefined ? [] : list(`${place}.disagreements`, disagreements);
      for (const [which, other] of claims.entries()) {
        claim(`${place}.disagreements[${which}]`, record(`${place}.disagreements[${which}]`, other));
      }
    }
  }
  networks('localNetworks', topology['localNetworks']);
  const notes = topology['notes'] === undefined ? [] : list('notes', topology['notes']);
  for (const [index, note] of notes.entries()) text(`notes[${index}]`, note);
  const options = topology['options'] === undefined ? {} : record('options', topology['options']);
  for (const [key, option] of Object.entries(options)) text(`options.${key}`, option);
  return problems;
}

function isAddress(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    familyOf(value) !== undefined &&
    !/[[\]%]/.test(value) &&
    !isUnspecified(value)
  );
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value).slice(0, 60);
}
