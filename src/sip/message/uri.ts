import { isPort } from '../../net/address.ts';

/** A SIP or SIPS URI in its parts (RFC 3261 19.1.1). Nothing is unescaped. */
export interface SipUri {
  /** Lower case: `sip` or `sips`. */
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** As written, but with at most two colons in a row: IPv6 keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** `;transport=tcp;lr`, with the leading semicolon, or `''`. */
  readonly params: string;
  /** `?Subject=x`, with the question mark, or `''`. */
  readonly headers: string;
}

// user may hold ; ? / and more unescaped; the host is a name, IPv4 or a bracketed IPv6 reference.
const sipUri =
  /^(sips?):(?:([\w\-.!~*'()&=+$,;?/%]+)(?::([\w\-.!~*'()&=+$,%]*))?@)?([\w\-.]+|\[[0-9a-f:.]+\])(?::(\d*))?((?:;[^;?\s<>"@]*)*)(\?[^\s<>"]*)?$/i;

const badEscape = /%(?![0-9a-f]{2})/i;

/** Parses a sip: or sips: URI; undefined where the text is not one. */
export function parseSipUri(text: string): SipUri | undefined {
  const match = sipUri.exec(text);
  if (!match) return undefined;
  const [, scheme, user, password, host, port, params, headers] = match;
  if (port !== undefined && port !== '' && !isPort(port) && port !== '0') return undefined;
  if (user !== undefined && badEscape.test(user)) return undefined;
  if (params && badEscape.test(params)) return undefined;
  if (host!.startsWith('.') || host!.includes('..')) return undefined;
  return {
    scheme: scheme!.toLowerCase(),
    user,
    password,
    // `[2001:db8:::192.0.2.1]` comes of a slip in RFC 3261's grammar and must be tolerated (RFC 5118 4.10).
    host: host!.charCodeAt(0) === 0x5b ? host!.replace(':::', '::') : host!,
    port: port ? Number(port) : undefined,
    params: params ?? '',
    headers: headers ?? '',
  };
}

/** The scheme of any URI in lower case, undefined where there is none (RFC 3986 3.1). */
export function uriScheme(text: string): string | undefined {
  return /^([a-z][a-z0-9+\-.]*):/i.exec(text)?.[1]?.toLowerCase();
}

/**
 * A user part with its escapes resolved, for comparing (RFC 3261 19.1.2: `%61lice` is `alice`). Case stays.
 * The result is latin1: UTF-8 users stay as their bytes.
 */
export function unescapeUser(user: string): string {
  if (!user.includes('%')) return user;
  return user.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
