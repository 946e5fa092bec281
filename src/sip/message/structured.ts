/**
 * SIP where the agent is itself the endpoint: credentials, challenges and messages of its own making. The only
 * door to the npm package `sip`: its grammar, digest and stringifier serve here, nothing else of it.
 */
import { createRequire } from 'node:module';

type SipModule = typeof import('sip/sip');
type DigestModule = typeof import('sip/digest');

const require = createRequire(import.meta.url);
let sipModule: SipModule | undefined;
let digestModule: DigestModule | undefined;

// The package brings `ws` and with it http and tls, some 50 ms and 15 MB: it waits until it is needed.
function sip(): SipModule {
  sipModule ??= require('sip/sip') as SipModule;
  return sipModule;
}

function digest(): DigestModule {
  digestModule ??= require('sip/digest') as DigestModule;
  return digestModule;
}

/** Loads the package now, so that the first request that is authenticated need not wait for it. */
export function loadSipPackage(): void {
  sip();
  digest();
}

/** Credentials of the Digest scheme (RFC 3261 20.7), quotes taken off; `''` stands for an absent parameter. */
export interface DigestCredentials {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  /** Lower case. */
  readonly response: string;
  /** Lower case: `md5`; absent means the same. */
  readonly algorithm: string;
  /** Lower case: `auth`, or `''` for the form of RFC 2069. */
  readonly qop: string;
  /** Eight hex digits as written. */
  readonly nc: string;
  readonly cnonce: string;
}

export type CredentialsResult =
  | { readonly ok: true; readonly credentials: DigestCredentials }
  /** `other-scheme` is no error: a client may hold credentials for somebody else. */
  | { readonly ok: false; readonly reason: 'other-scheme' | 'malformed' };

/** A header longer than this holds no honest credentials. */
const longestCredentials = 4096;

// The package looks for its next match anywhere ahead, which takes quadratic time on hostile text. This form
// (RFC 3261 25.1 digest-response) is checked in one pass before; unquoted values are as lax as the package.
const credentialsForm =
  /^([\w\-.!%*+`'~]+)[ \t]+[\w\-.!%*+`'~]+[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*"|[^\s,"]+)[ \t]*(?:,[ \t]*[\w\-.!%*+`'~]+[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*"|[^\s,"]+)[ \t]*)*,?$/;

/** Reads one Authorization or Proxy-Authorization value. Never throws. */
export function parseDigestCredentials(value: string): CredentialsResult {
  if (value.length > longestCredentials) return { ok: false, reason: 'malformed' };
  // Folded lines are one line (RFC 3261 7.3.1).
  const line = value.replace(/\r?\n[ \t]+/g, ' ').trim();
  if (!/^digest(?:\s|$)/i.test(line)) return { ok: false, reason: 'other-scheme' };
  if (!credentialsForm.test(line)) return { ok: false, reason: 'malformed' };
  const parsed = sip().parse(`REGISTER sip:a SIP/2.0\r\nAuthorization: ${line}\r\n\r\n`)?.headers
    .authorization?.[0];
  if (!parsed) return { ok: false, reason: 'malformed' };

  // Parameter names are compared without case (RFC 3261 7.3.1).
  const found = new Map<string, string>();
  for (const [name, raw] of Object.entries(parsed)) {
    const key = name.toLowerCase();
    if (typeof raw === 'string' && !found.has(key)) found.set(key, unquote(raw));
  }
  const get = (name: string): string => found.get(name) ?? '';
  const credentials: DigestCredentials = {
    username: get('username'),
    realm: get('realm'),
    nonce: get('nonce'),
    uri: get('uri'),
    response: get('response').toLowerCase(),
    algorithm: get('algorithm').toLowerCase(),
    qop: get('qop').toLowerCase(),
    nc: get('nc'),
    cnonce: get('cnonce'),
  };
  const { username, nonce, uri, response, qop, nc, cnonce } = credentials;
  if (username === '' || !found.has('realm') || nonce === '' || uri === '')
    return { ok: false, reason: 'malformed' };
  if (!/^[0-9a-f]{32}$/.test(response)) return { ok: false, reason: 'malformed' };
  // With qop the count and the client's nonce must be there (RFC 7616 3.4).
  if (qop !== '' && (!/^[0-9a-f]{8}$/i.test(nc) || cnonce === '')) return { ok: false, reason: 'malformed' };
  return { ok: true, credentials };
}

function unquote(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/** `MD5(user:realm:password)` in hex: the HA1 of RFC 7616 3.4.2. */
export function userRealmPasswordHash(user: string, realm: string, password: string): string {
  return digest().calculateUserRealmPasswordHash(user, realm, password);
}

/** The digest of a request in lower-case hex (MD5, qop `auth` or none). Text that came off the wire is latin1. */
export function digestResponse(ha1: string, method: string, credentials: DigestCredentials): string {
  const { uri, nonce, nc, cnonce, qop } = credentials;
  return digest().calculateDigest({
    ha1,
    method,
    uri: wireBytes(uri),
    nonce: wireBytes(nonce),
    nc,
    cnonce: wireBytes(cnonce),
    qop,
  });
}

/** The package hashes text as UTF-8; latin1 text has to be brought back to the bytes that were sent. */
function wireBytes(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return Buffer.from(text, 'latin1').toString('utf8');
  }
  return text;
}

/** A whole challenge header line with its CRLF (RFC 3261 22.1, 22.3). */
export function challengeHeader(
  scheme: 'www' | 'proxy',
  realm: string,
  nonce: string,
  stale: boolean,
): string {
  const challenge = sip().stringifyAuthHeader({
    scheme: 'Digest',
    realm: `"${realm}"`,
    nonce: `"${nonce}"`,
    algorithm: 'MD5',
    qop: '"auth"',
    stale: stale ? 'true' : undefined,
  });
  return `${scheme === 'www' ? 'WWW-Authenticate' : 'Proxy-Authenticate'}: ${challenge}\r\n`;
}

/**
 * The text of a message of the agent's own making, Content-Length included; `content` is latin1. URIs are given
 * as text because the package's URI grammar lacks IPv6.
 */
export function stringifyMessage(message: import('sip/sip').SipMessage): string {
  // The package writes Content-Length into what it is given.
  return sip().stringify({ ...message, headers: { ...message.headers } });
}
