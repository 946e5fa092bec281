import { normalizeHost } from '../../net/address.ts';
import { parseSipUri, type SipUri } from './uri.ts';

/**
 * True where two SIP URIs are equal by RFC 3261 19.1.4. The relation is not transitive (parameters that stand in
 * one URI only are mostly ignored), so there is no canonical form to compare instead.
 */
export function sameSipUri(a: SipUri, b: SipUri): boolean {
  // A sip and a sips URI are never equal; an absent port is not the default port.
  return (
    a.scheme === b.scheme &&
    a.port === b.port &&
    sameEscaped(a.user, b.user) &&
    sameEscaped(a.password, b.password) &&
    normalizeHost(a.host) === normalizeHost(b.host) &&
    sameParams(a.params, b.params) &&
    sameHeaders(a.headers, b.headers)
  );
}

/** The same for text; text that is not a SIP URI equals only itself. */
export function sameUri(a: string, b: string): boolean {
  if (a === b) return true;
  const left = parseSipUri(a);
  const right = left && parseSipUri(b);
  return left !== undefined && right !== undefined && sameSipUri(left, right);
}

/** Of these a URI that has one never equals a URI that has it not, even with the default value. */
const mustStandInBoth: ReadonlySet<string> = new Set([
  'user',
  'ttl',
  'method',
  'maddr',
  // The rule's text forgets it; its examples do not: `sip:bob@biloxi.com` is not `…;transport=udp`.
  'transport',
]);

function sameParams(a: string, b: string): boolean {
  if (a === b) return true;
  const left = paramMap(a);
  const right = paramMap(b);
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other === undefined ? mustStandInBoth.has(name) : other !== value) return false;
  }
  for (const name of right.keys()) if (!left.has(name) && mustStandInBoth.has(name)) return false;
  return true;
}

/** Everything but the user part is compared without case. */
function paramMap(params: string): Map<string, string> {
  const map = new Map<string, string>();
  for (const param of params.split(';')) {
    if (param === '') continue;
    const equals = param.indexOf('=');
    const name = equals < 0 ? param : param.slice(0, equals);
    const value = equals < 0 ? '' : param.slice(equals + 1);
    map.set(canonicalEscapes(name).toLowerCase(), canonicalEscapes(value).toLowerCase());
  }
  return map;
}

/** URI headers are never ignored: each must stand in both, in any order. */
function sameHeaders(a: string, b: string): boolean {
  if (a === b) return true;
  return headerList(a) === headerList(b);
}

function headerList(headers: string): string {
  return headers
    .slice(1)
    .split('&')
    .map((header) => {
      const equals = header.indexOf('=');
      const name = equals < 0 ? header : header.slice(0, equals);
      return canonicalEscapes(name).toLowerCase() + canonicalEscapes(header.slice(name.length));
    })
    .sort()
    .join('&');
}

function sameEscaped(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && canonicalEscapes(a) === canonicalEscapes(b);
}

/** Escapes of unreserved characters resolved, all others in upper case: `%61%3d` → `a%3D` (RFC 3261 19.1.4). */
function canonicalEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (escaped, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[\w\-.!~*'()]/.test(char) ? char : escaped.toUpperCase();
  });
}
