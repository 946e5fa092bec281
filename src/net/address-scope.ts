import { parseCidr } from './cidr.ts';

/** How far an address reaches. `private` is everything that a host on the internet cannot answer to. */
export type Scope = 'loopback' | 'link-local' | 'private' | 'public';

const SCOPES: readonly (readonly [Scope, readonly string[]])[] = [
  ['loopback', ['127.0.0.0/8', '::1/128']],
  // RFC 3927, RFC 4291 2.5.6
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  // RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (unique local)
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']],
];

const NETWORKS = SCOPES.map(([scope, texts]) => ({
  scope,
  networks: texts.map((text) => parseCidr(text)!),
}));

/** The scope of a numeric address; `public` for anything that is in none of the special networks. */
export function scopeOf(address: string): Scope {
  for (const { scope, networks } of NETWORKS) {
    if (networks.some((network) => network.contains(address))) return scope;
  }
  return 'public';
}
