import { familyOf, ipv4Number, isUnspecified, normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import { DiscoveryError, quoted } from './discovery-error.ts';
import { subnetOf } from './os-topology.ts';

/** More than any machine has; what tells of more is no metadata service. */
export const MAX_ITEMS = 1024;

/** `at` names the place: the address that was asked and where in its answer. */
export function garbled(at: string, expected: string, came: string): DiscoveryError {
  return new DiscoveryError(
    'discovery.metadata-garbled',
    `GET ${at}: expected ${expected}, came ${came}. Check that the cloud's own metadata service answers there.`,
  );
}

/** A numeric address in its one spelling; throws `discovery.metadata-garbled`. */
export function checkedAddress(text: string, at: string): string {
  if (familyOf(text) && !text.includes('%') && !isUnspecified(text)) return normalizeHost(text);
  throw garbled(at, 'an IP address', quoted(text));
}

/** `10.0.0.7/24` → `10.0.0.0/24`. */
export function checkedNetwork(text: string, at: string): string {
  const [address = '', prefix] = text.split('/');
  if (prefix !== undefined && parseCidr(text)) return networkOf(address, Number(prefix));
  throw garbled(at, 'a network such as 10.0.0.0/24', quoted(text));
}

/** Lower case with colons out of any spelling: `000D3AF806EC`, `00-0D-3A-E5-1C-C0`, `96:00:00:1:2:3`. */
export function macOf(text: string): string | undefined {
  const parts = /^[0-9a-f]{12}$/i.test(text) ? text.match(/../g)! : text.split(/[:-]/);
  if (parts.length === 6 && parts.every((part) => /^[0-9a-f]{1,2}$/i.test(part))) {
    return parts.map((part) => part.toLowerCase().padStart(2, '0')).join(':');
  }
  return undefined;
}

export function checkedMac(text: string, at: string): string {
  const mac = macOf(text);
  if (mac !== undefined) return mac;
  throw garbled(at, 'a MAC address', quoted(text));
}

/** The network that an address stands in, by the length of its prefix. */
export function networkOf(address: string, prefixLength: number): string {
  const family = familyOf(address)!;
  return subnetOf({ address: normalizeHost(address), prefixLength, family });
}

/** `255.255.240.0` → 20, `ffff:ffff:ffff:ffff::` → 64. */
export function checkedNetmask(text: string, at: string): number {
  const ipv4 = ipv4Number(text);
  const bits =
    ipv4 === undefined
      ? text
          .split('::', 1)[0]!
          .split(':')
          .map((group) =>
            Number.parseInt(group || '0', 16)
              .toString(2)
              .padStart(16, '0'),
          )
          .join('')
      : ipv4.toString(2).padStart(32, '0');
  if (familyOf(text) && /^1*0*$/.test(bits)) return bits.replace(/0+$/, '').length;
  throw garbled(at, 'a netmask', quoted(text));
}

/** The lines of a text answer without empty ones and the slash at the end of directories. */
export function linesOf(text: string | undefined, at: string): string[] {
  const lines = (text ?? '')
    .split('\n')
    .map((line) => line.trim().replace(/\/$/, ''))
    .filter((line) => line !== '');
  if (lines.length <= MAX_ITEMS) return lines;
  throw garbled(at, `at most ${MAX_ITEMS} lines`, `${lines.length}`);
}
