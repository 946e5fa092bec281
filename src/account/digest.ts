import { randomBytes, timingSafeEqual } from 'node:crypto';
import { normalizeHost } from '../net/address.ts';
import type { Clock } from '../net/clock.ts';
import { AUTHORIZATION, PROXY_AUTHORIZATION } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import {
  challengeHeader,
  type DigestCredentials,
  digestResponse,
  parseDigestCredentials,
  userRealmPasswordHash,
} from '../sip/message/structured.ts';
import { parseSipUri, unescapeUser } from '../sip/message/uri.ts';
import { sameSipUri } from '../sip/message/uri-equality.ts';
import { NonceMint } from './nonce.ts';
import { NonceCounts } from './nonce-counts.ts';

/** Where passwords come from. */
export interface PasswordSource {
  get(name: string): { readonly password: string } | undefined;
}

export type AuthenticationFailure = 'absent' | 'stale' | 'wrong' | 'malformed';

export type Authentication =
  | { readonly ok: true; readonly account: string }
  | {
      readonly ok: false;
      readonly status: 401 | 407;
      /** The challenge: a whole header line with its CRLF. */
      readonly headers: string;
      readonly reason: AuthenticationFailure;
    };

/** How long a nonce may be used. */
export const nonceLifeMs: number = 5 * 60_000;

/** How many nonces in use are remembered, some 10 MB when full. */
const rememberedNonces = 65_536;

/** No client that means well sends more credentials than it knows realms on its way. */
const mostCredentials = 8;

/**
 * Digest authentication of requests (RFC 3261 22, RFC 7616 with MD5, and RFC 2069 for clients that know no qop).
 *
 * ACK and CANCEL must not be given to it: they cannot be challenged (RFC 3261 22.1). Wrong passwords are not
 * slowed down here; a limit by source address belongs in front, where `reason: 'wrong'` is counted.
 */
export class DigestAuthenticator {
  #realm: string;
  readonly #key: Buffer;
  readonly #store: PasswordSource;
  readonly #clock: Clock;
  #mint: NonceMint;
  readonly #counts: NonceCounts;
  /** Hashed for unknown users, so that time does not tell who exists. */
  readonly #nobody: string = randomBytes(16).toString('hex');

  /** `key` signs the nonces: 32 random bytes, see loadNonceKey. The realm must not hold quotes or backslashes. */
  constructor(realm: string, store: PasswordSource, key: Buffer, clock: Clock) {
    this.#realm = realm;
    this.#key = key;
    this.#store = store;
    this.#clock = clock;
    this.#mint = new NonceMint(key, realm);
    this.#counts = new NonceCounts(rememberedNonces, nonceLifeMs);
  }

  /** Other credentials are asked for from now on; whoever comes with those of before gets a new challenge. */
  setRealm(realm: string): void {
    if (realm === this.#realm) return;
    this.#realm = realm;
    this.#mint = new NonceMint(this.#key, realm);
  }

  /** `scheme` is `www` where the agent is the endpoint (401) and `proxy` where it forwards (407). Never throws. */
  authenticate(request: Message, method: string, scheme: 'www' | 'proxy'): Authentication {
    const id = scheme === 'www' ? AUTHORIZATION : PROXY_AUTHORIZATION;
    let failure: AuthenticationFailure = 'absent';
    let examined = 0;
    for (let n = request.find(id); n >= 0 && examined < mostCredentials; n = request.find(id, n + 1)) {
      examined++;
      const parsed = parseDigestCredentials(request.valueAt(n));
      if (!parsed.ok) {
        // Another scheme is as good as no credentials (RFC 4475 3.3.7).
        if (parsed.reason === 'malformed') failure = 'malformed';
        continue;
      }
      // Credentials for other realms belong to others on the way (RFC 3261 22.3).
      if (parsed.credentials.realm !== this.#realm) continue;
      const verdict = this.#verify(parsed.credentials, request.requestUri, method);
      if (verdict === 'right') return { ok: true, account: parsed.credentials.username };
      failure = verdict;
      break;
    }
    return {
      ok: false,
      status: scheme === 'www' ? 401 : 407,
      headers: challengeHeader(scheme, this.#realm, this.#mint.issue(this.#clock.now()), failure === 'stale'),
      reason: failure,
    };
  }

  #verify(
    credentials: DigestCredentials,
    requestUri: string,
    method: string,
  ): 'right' | AuthenticationFailure {
    const { algorithm, qop, username } = credentials;
    // Only what the challenge offered: MD5, and auth or nothing.
    if ((algorithm !== '' && algorithm !== 'md5') || (qop !== '' && qop !== 'auth')) return 'malformed';

    const account = this.#store.get(username);
    const ha1 = userRealmPasswordHash(username, this.#realm, account?.password ?? this.#nobody);
    const expected = digestResponse(ha1, method, credentials);
    const matches = timingSafeEqual(
      Buffer.from(expected, 'latin1'),
      Buffer.from(credentials.response, 'latin1'),
    );
    if (!matches || !account || !sameTarget(credentials.uri, requestUri)) return 'wrong';

    // The password is right. If only the nonce is not, stale=true spares the user a question (RFC 7616 3.3).
    const now = this.#clock.now();
    const issuedAt = this.#mint.issuedAt(credentials.nonce);
    if (issuedAt === undefined || Math.abs(now - issuedAt) > nonceLifeMs) return 'stale';
    // Without qop nothing counts the uses of a nonce, so it serves once.
    const count = qop === '' ? Number.POSITIVE_INFINITY : Number.parseInt(credentials.nc, 16);
    return this.#counts.use(credentials.nonce, issuedAt, count, now) ? 'right' : 'stale';
  }
}

/**
 * Whether the digest was made for this Request-URI. RFC 7616 3.4.6 wants the same resource, not the same text.
 * Clients leave out or add the port and parameters such as transport, and peers let them: user and host decide.
 */
function sameTarget(uri: string, requestUri: string): boolean {
  if (uri === requestUri) return true;
  const a = parseSipUri(uri);
  const b = a && parseSipUri(requestUri);
  if (!a || !b) return false;
  if (sameSipUri(a, b)) return true;
  return (
    unescapeUser(a.user ?? '') === unescapeUser(b.user ?? '') &&
    normalizeHost(a.host) === normalizeHost(b.host)
  );
}
