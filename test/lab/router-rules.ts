import type { CloudRouterSpec, HomeRouterSpec, MetadataSpec } from './topology.ts';

/**
 * The nftables rules of a cloud's edge. Address translation is stateless, as the clouds' own is: a header
 * field is rewritten on the way in and on the way out, no connection is remembered, so a change of the map
 * holds for the very next packet of every flow.
 */
export function cloudRouterRules(spec: CloudRouterSpec, ownAddress: string, metadata?: MetadataSpec): string {
  const { outside, publicPool } = spec;
  const guard = metadata
    ? `ip daddr ${metadata.address} ip saddr != { ${metadata.clients.join(', ')} } counter drop`
    : '';
  return `
table ip edge {
  map inbound { type ipv4_addr : ipv4_addr; }
  map outbound { type ipv4_addr : ipv4_addr; }
  chain arrive {
    type filter hook prerouting priority raw; policy accept;
    ${guard}
    iifname "${outside}" ip daddr set ip daddr map @inbound accept
    iifname "${outside}" ip daddr != ${ownAddress} counter drop
    iifname != "${outside}" ip daddr ${publicPool} counter drop comment "no NAT loopback"
  }
  chain leave {
    type filter hook postrouting priority srcnat; policy accept;
    oifname "${outside}" ip saddr ${ownAddress} accept
    oifname "${outside}" ip saddr set ip saddr map @outbound accept
    oifname "${outside}" counter drop comment "no public address"
  }
}
${publicAddressChange(new Map(Object.entries(spec.publicAddresses)))}`;
}

/** Replaces the whole translation; nft applies a file as one transaction. */
export function publicAddressChange(publicByPrivate: ReadonlyMap<string, string>): string {
  const lines = ['flush map ip edge inbound', 'flush map ip edge outbound'];
  for (const [inner, outer] of publicByPrivate) {
    lines.push(`add element ip edge inbound { ${outer} : ${inner} }`);
    lines.push(`add element ip edge outbound { ${inner} : ${outer} }`);
  }
  return `${lines.join('\n')}\n`;
}

/** A home router: masquerade outward, and nothing comes in but answers. */
export function homeRouterRules(spec: HomeRouterSpec): string {
  return `
table ip home {
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname != "${spec.outside}" accept
    ct state established,related accept
  }
  chain leave {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${spec.outside}" masquerade
  }
}
`;
}
