import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Family } from './address.ts';

/*
 * sockaddr_in and sockaddr_in6 as 32-bit words on a little-endian machine:
 *   IPv4: family and port, address                                  (16 bytes, of which 8 count)
 *   IPv6: family and port, flow info, four of address, scope        (28 bytes)
 * Words instead of bytes, because comparing and copying them is most of the work for each datagram.
 */

/** sizeof(struct sockaddr_in) and sizeof(struct sockaddr_in6). */
export const SOCKADDR_LENGTH = { ipv4: 16, ipv6: 28 } as const;
const FAMILY_WORD = { ipv4: 2, ipv6: 10 } as const;

/** The words of a sockaddr of `address` with port 0, or undefined where it is no address of that family. */
export function sockaddrWords(family: Family, address: string): Int32Array | undefined {
  const words = new Int32Array(7);
  words[0] = FAMILY_WORD[family];
  if (family === 'ipv4') {
    if (!isIPv4(address)) return undefined;
    words[1] = dottedWord(address);
    return words;
  }
  if (!isIPv6(address)) return undefined;
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  const groups = ipv6Groups(bare);
  for (let i = 0; i < 4; i++) words[2 + i] = swap16(groups[2 * i]!) | (swap16(groups[2 * i + 1]!) << 16);
  if (zone >= 0) words[6] = scopeOf(address.slice(zone + 1));
  return words;
}

/** The first word: family and port. */
export function familyAndPort(family: Family, port: number): number {
  return FAMILY_WORD[family] | (swap16(port) << 16);
}

export function portOf(firstWord: number): number {
  return swap16(firstWord >>> 16);
}

/** The address that stands at word `at`, as Node writes it. */
export function addressAt(family: Family, words: Int32Array, at: number): string {
  if (family === 'ipv4') {
    const word = words[at + 1]!;
    return `${word & 255}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}`;
  }
  const groups: number[] = [];
  for (let i = 2; i < 6; i++) {
    const word = words[at + i]!;
    groups.push(swap16(word & 0xffff), swap16(word >>> 16));
  }
  const scope = words[at + 6]!;
  return compress(groups) + (scope === 0 ? '' : `%${zoneName(scope)}`);
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

function dottedWord(address: string): number {
  const [a, b, c, d] = address.split('.').map(Number);
  return a! | (b! << 8) | (c! << 16) | (d! << 24);
}

function ipv6Groups(address: string): number[] {
  const dotted = address.includes('.') ? address.lastIndexOf(':') + 1 : -1;
  let hex = address;
  if (dotted >= 0) {
    const word = dottedWord(address.slice(dotted));
    hex = `${address.slice(0, dotted)}${swap16(word & 0xffff).toString(16)}:${swap16(word >>> 16).toString(16)}`;
  }
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => Number.parseInt(group, 16));
}

/** RFC 5952 4: lower case, the first of the longest runs of two or more zero groups becomes `::`. */
function compress(groups: readonly number[]): string {
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  // An IPv4-mapped address keeps its dots, as inet_ntop and RFC 5952 5 write it.
  const mapped = best === 0 && bestLength === 5 && groups[5] === 0xffff;
  if (mapped) {
    return `::ffff:${groups[6]! >>> 8}.${groups[6]! & 255}.${groups[7]! >>> 8}.${groups[7]! & 255}`;
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone) | 0;
  for (const entry of networkInterfaces()[zone] ?? []) if (entry.family === 'IPv6') return entry.scopeid;
  return 0;
}

function zoneName(scope: number): string {
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    if (entries?.some((entry) => entry.family === 'IPv6' && entry.scopeid === scope)) return name;
  }
  return String(scope >>> 0);
}
