import { familyOf, isPort, isUnspecified, normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';

/** Each reader gives undefined where the text is not of its form; the option says what was expected. */

/** UDP ports for RTP, both ends included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A host without a port stands for every port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number | undefined;
}

/** One private address and the public address in front of it. */
export interface StaticMapping {
  readonly private: string;
  readonly public?: string;
}

/** A host name (RFC 1123 2.1) or a numeric address; IPv6 loses its brackets. */
export function readHost(text: string): string | undefined {
  if (familyOf(text) !== undefined) return normalizeHost(text);
  // Four numbers with dots that are no address are a typing error, not a name.
  if (text.length > 253 || /^[\d.]+$/.test(text)) return undefined;
  const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?';
  return new RegExp(`^${label}(?:\\.${label})*\\.?$`, 'i').test(text) ? normalizeHost(text) : undefined;
}

/** A host that others can be told: neither 0.0.0.0 nor ::. */
export function readReachableHost(text: string): string | undefined {
  const host = readHost(text);
  return host === undefined || isUnspecified(host) ? undefined : host;
}

export function readHostAndPort(text: string): HostAndPort | undefined {
  const bare = readHost(text);
  if (bare !== undefined) return { host: bare, port: undefined };
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(text);
  const host = match && readHost(match[1]!);
  return host && isPort(match[2]!) ? { host, port: Number(match[2]) } : undefined;
}

export function readNetwork(text: string): string | undefined {
  return parseCidr(text)?.text;
}

/** `10000-20000`. A stream takes an even port for RTP and the next one for RTCP (RFC 3550 11). */
export function readPortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2]);
  return first >= 1024 && last <= 65535 && last - first >= 3 ? { first, last } : undefined;
}

/** Goes into a quoted-string as it is (RFC 3261 25.1): no quote, no backslash, no control character. */
export function readRealm(text: string): string | undefined {
  return text.length <= 128 && /^[^"\\\x00-\x1f\x7f]+$/.test(text) ? text : undefined;
}

/** A reader for one word out of a few. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word | undefined {
  return (text) => words.find((word) => word === text.toLowerCase());
}

/** `udp:10.0.0.15:5060 as 203.0.113.5:5060`, with single spaces; the text is handed on in that form. */
export function readListen(text: string): string | undefined {
  const [listener = '', as, advertised, ...rest] = text.trim().split(/\s+/);
  if (rest.length > 0 || (as !== undefined && (as.toLowerCase() !== 'as' || advertised === undefined))) {
    return undefined;
  }
  const match = /^(udp|tcp|tls|wss?):(.+)$/i.exec(listener);
  if (!match || readHostAndPort(match[2]!) === undefined) return undefined;
  const place = `${match[1]!.toLowerCase()}:${match[2]}`;
  if (advertised === undefined) return place;
  const identity = readHostAndPort(advertised);
  return identity && !isUnspecified(identity.host) ? `${place} as ${advertised}` : undefined;
}
