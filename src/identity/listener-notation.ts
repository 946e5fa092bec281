import { bracket, familyOf, isPort, normalizeHost } from '../net/address.ts';
import { isOneHost } from '../net/address-scope.ts';
import type { TransportName } from '../net/listener.ts';
import { IdentityError } from './identity-error.ts';

/** A host, numeric or a name, and its port; absent where it is the bound port. */
export interface Advertised {
  /** One spelling for each host, IPv6 without brackets. */
  readonly host: string;
  readonly port?: number;
}

/** `udp:10.0.0.15:5060 as 203.0.113.5:5060`, OpenSIPS's notation, taken apart. */
export interface ListenerNotation {
  readonly transport: TransportName;
  /** Numeric, IPv6 without brackets; `*`, `0.0.0.0` and `::` stand for every address (of that family). */
  readonly address: string;
  /** 0 where the operating system is to choose. */
  readonly port: number;
  readonly as?: Advertised;
}

/** RFC 3261 19.1.2 and RFC 7118 5.2.3 (WebSocket takes HTTP's). */
const DEFAULT_PORTS: Readonly<Record<TransportName, number>> = {
  udp: 5060,
  tcp: 5060,
  tls: 5061,
  ws: 80,
  wss: 443,
};

const EXAMPLE = 'udp:10.0.0.15:5060 as 203.0.113.5:5060';

/** Throws `identity.listener-syntax` or `identity.advertise-syntax`. */
export function parseListener(text: string): ListenerNotation {
  const parts = /^\s*([a-z]+):(\S+)(?:\s+as\s+(\S+))?\s*$/i.exec(text);
  const transport = parts?.[1]?.toLowerCase();
  if (!parts || !transport || !Object.hasOwn(DEFAULT_PORTS, transport)) {
    const bare = splitHostPort(text.trim());
    const hint = bare && familyOf(bare.host) ? `udp:${text.trim()}` : EXAMPLE;
    throw syntax(text, 'transport:address[:port] [as host[:port]]', hint);
  }
  const bound = splitHostPort(parts[2]!, 0);
  if (!bound || (bound.host !== '*' && !familyOf(bound.host))) {
    throw syntax(text, 'a numeric address (IPv6 in brackets) or * before the port 0 to 65535', EXAMPLE);
  }
  const name = transport as TransportName;
  const address = bound.host === '*' ? '*' : normalizeHost(bound.host);
  const port = bound.port ?? DEFAULT_PORTS[name];
  if (parts[3] === undefined) return { transport: name, address, port };
  const as = parseAdvertised(parts[3]);
  if (address !== '*' && familyOf(as.host) && familyOf(as.host) !== familyOf(address)) {
    throw syntax(text, `an advertised address of the same family as ${address}`, EXAMPLE);
  }
  return { transport: name, address, port, as };
}

/** The inverse of `parseListener`: `udp:[2001:db8::1]:5060 as sip.example.com`. */
export function printListener({ transport, address, port, as }: ListenerNotation): string {
  const bound = `${transport}:${bracket(address)}:${port}`;
  return as ? `${bound} as ${printAdvertised(as)}` : bound;
}

/** `203.0.113.5`, `sip.example.com:5070`, `[2001:db8::1]:5060`. Throws `identity.advertise-syntax`. */
export function parseAdvertised(text: string): Advertised {
  // A bare IPv6 address cannot be told from one with a port unless it is taken whole.
  const split = familyOf(text) === 'ipv6' ? { host: text, port: undefined } : splitHostPort(text);
  const reached = split && (familyOf(split.host) ? isOneHost(split.host) : isHostName(split.host));
  if (!split || !reached) {
    throw new IdentityError(
      'identity.advertise-syntax',
      `Expected a host to advertise, host[:port], came ${JSON.stringify(text.slice(0, 80))}. Write an address or name that callers reach, such as 203.0.113.5, sip.example.com:5060 or [2001:db8::1]:5060.`,
    );
  }
  const host = normalizeHost(split.host);
  return split.port === undefined ? { host } : { host, port: split.port };
}

export function printAdvertised({ host, port }: Advertised): string {
  return port === undefined ? bracket(host) : `${bracket(host)}:${port}`;
}

/** RFC 1123 2.1, and underscores, which private zones have. */
export function isHostName(host: string): boolean {
  if (host.length > 253 || /^[\d.]+$/.test(host)) return false;
  return /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i.test(host);
}

/** Brackets stay off the host. Undefined where the port is none; `lowest` 0 lets the port be 0. */
export function splitHostPort(
  text: string,
  lowest: 0 | 1 = 1,
): { host: string; port: number | undefined } | undefined {
  const parts = /^(?:\[([^\][]+)\]|([^\][:]+))(?::(\d+))?$/.exec(text);
  if (!parts) return undefined;
  if (parts[1] !== undefined && familyOf(parts[1]) !== 'ipv6') return undefined;
  const host = parts[1] ?? parts[2]!;
  if (parts[3] === undefined) return { host, port: undefined };
  const allowed = isPort(parts[3]) || (lowest === 0 && parts[3] === '0');
  return allowed ? { host, port: Number(parts[3]) } : undefined;
}

function syntax(text: string, expected: string, write: string): IdentityError {
  return new IdentityError(
    'identity.listener-syntax',
    `Expected a listener, ${expected}, came ${JSON.stringify(text.slice(0, 120))}. Write for instance ${write}.`,
  );
}
