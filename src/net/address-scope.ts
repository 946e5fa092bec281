import { ipv4Number, normalizeHost } from './address.ts';

/** How far an address reaches. `private` is what no host on the internet can answer to. */
export type Scope = 'loopback' | 'link-local' | 'private' | 'public';

/** The scope of a numeric address; `public` for anything that is in none of the special networks. */
export function scopeOf(address: string): Scope {
  const normal = normalizeHost(address);
  const ipv4 = ipv4Number(normal);
  return ipv4 === undefined ? scopeOfIpv6(normal) : scopeOfIpv4(ipv4);
}

/** Whether a single machine can have this numeric address: no multicast, no broadcast, nothing reserved or unspecified. */
export function isOneHost(address: string): boolean {
  const normal = normalizeHost(address);
  const ipv4 = ipv4Number(normal);
  if (ipv4 === undefined) return normal !== '::' && !normal.startsWith('ff');
  const first = ipv4 >>> 24;
  return first > 0 && first < 224;
}

function scopeOfIpv4(value: number): Scope {
  const first = value >>> 24;
  const firstTwo = value >>> 16;
  if (first === 127) return 'loopback';
  // RFC 3927
  if (firstTwo === 0xa9fe) return 'link-local';
  // RFC 1918
  if (first === 10 || firstTwo === 0xc0a8 || (firstTwo & 0xfff0) === 0xac10) return 'private';
  // RFC 6598, carrier-grade NAT
  return (firstTwo & 0xffc0) === 0x6440 ? 'private' : 'public';
}

function scopeOfIpv6(normal: string): Scope {
  if (normal === '::1') return 'loopback';
  const colon = normal.indexOf(':');
  // Shorter first groups have leading zeros: none of the networks below begins so.
  if (colon !== 4) return 'public';
  const first = Number.parseInt(normal.slice(0, colon), 16);
  // RFC 4291 2.5.6
  if ((first & 0xffc0) === 0xfe80) return 'link-local';
  // RFC 4193, unique local
  return (first & 0xfe00) === 0xfc00 ? 'private' : 'public';
}
