import { normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { OsAddress, OsInterface } from '../net/os-interfaces.ts';

/** `10.0.0.15/20` → `10.0.0.0/20`. */
export function subnetOf({ address, prefixLength, family }: OsAddress): string {
  const width = family === 'ipv4' ? 32 : 128;
  const step = family === 'ipv4' ? 8 : 16;
  const groups = groupsOf(address, family);
  const masked = groups.map((group, index) => {
    const bits = Math.min(step, Math.max(0, prefixLength - index * step));
    return group & ~((1 << (step - bits)) - 1);
  });
  const network =
    family === 'ipv4' ? masked.join('.') : normalizeHost(masked.map((group) => group.toString(16)).join(':'));
  return `${network}/${Math.min(prefixLength, width)}`;
}

/** The subnets of these interfaces that no host on the internet is in, without loopback and link-local ones. */
export function privateSubnets(interfaces: readonly OsInterface[]): string[] {
  const addresses = interfaces.flatMap((device) => device.addresses);
  const found = addresses.filter(({ address }) => scopeOf(address) === 'private');
  return [...new Set(found.map(subnetOf))];
}

function groupsOf(address: string, family: OsAddress['family']): number[] {
  if (family === 'ipv4') return address.split('.').map(Number);
  const [head = '', tail] = address.split('%', 1)[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => Number.parseInt(group, 16));
}
