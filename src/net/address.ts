import { isIPv6, SocketAddress } from 'node:net';

/** An IP address and a port; IPv6 without brackets. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type Family = 'ipv4' | 'ipv6';

/**
 * `10.0.0.1` → 0x0a000001 (unsigned), undefined where it is not dotted IPv4 with four numbers and no leading zeros.
 * A loop, since node:net's regular expression takes longer than the rest of what is done with an address.
 */
export function ipv4Number(text: string): number | undefined {
  if (text.length > 15) return undefined;
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || ++dots > 3) return undefined;
      value = value * 256 + part;
      part = 0;
      digits = 0;
    } else {
      if (code < 0x30 || code > 0x39 || (digits > 0 && part === 0)) return undefined;
      part = part * 10 + code - 0x30;
      digits++;
      if (part > 255) return undefined;
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + part : undefined;
}

function isIpv4(text: string): boolean {
  return ipv4Number(text) !== undefined;
}

/** The family of an IP address, or undefined where `host` is a name. Brackets round IPv6 are allowed. */
export function familyOf(host: string): Family | undefined {
  if (isIpv4(host)) return 'ipv4';
  return isIPv6(unbracket(host)) ? 'ipv6' : undefined;
}

/** `[2001:db8::1]` → `2001:db8::1`; anything else as it is. */
export function unbracket(host: string): string {
  return host.charCodeAt(0) === 0x5b && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** The form that goes into a URI or a Via: IPv6 in brackets (RFC 3261 25.1 IPv6reference). */
export function bracket(host: string): string {
  return host.includes(':') && host.charCodeAt(0) !== 0x5b ? `[${host}]` : host;
}

/**
 * One spelling for each host, so that hosts can be compared as strings: IPv6 compressed and without brackets,
 * IPv4-mapped IPv6 as IPv4 (RFC 5118 4.8), names in lower case without a trailing dot.
 */
export function normalizeHost(host: string): string {
  if (isIpv4(host)) return host;
  const bare = unbracket(host);
  if (isIPv6(bare)) {
    const zone = bare.indexOf('%');
    const canonical = new SocketAddress({ family: 'ipv6', address: zone < 0 ? bare : bare.slice(0, zone) })
      .address;
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(canonical);
    return mapped ? mapped[1]! : canonical;
  }
  const lower = bare.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** `10.0.0.5:5060`, `[2001:db8::1]:5060`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${bracket(endpoint.address)}:${endpoint.port}`;
}

/** True for 0.0.0.0 and ::. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || /^[0:]+$/.test(address);
}

/** The number that `text` is where `isPort`, else undefined. A loop, like the one above. */
export function portNumber(text: string): number | undefined {
  if (text.length > 5 || text.charCodeAt(0) === 0x30) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value > 0 && value <= 65535 ? value : undefined;
}

/** True where `text` is a whole number from 1 to 65535 in decimal digits. */
export function isPort(text: string): boolean {
  return portNumber(text) !== undefined;
}
