import type { Authentication, AuthenticationFailure } from '../account/digest.ts';
import type { Binding } from '../location/binding.ts';
import type { LocationStore } from '../location/location-store.ts';
import type { Endpoint } from '../net/address.ts';
import { isToken, splitList } from '../sip/message/grammar.ts';
import { PATH, REQUIRE, SUPPORTED, USER_AGENT } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseNameAddr } from '../sip/message/name-addr.ts';
import { parseSipUri, unescapeUser } from '../sip/message/uri.ts';
import { changedBindings, isLater, type RegisterFacts } from './changed-bindings.ts';
import { oneLine, requestedContacts } from './requested-contacts.ts';

/** What the registrar needs around it. */
export interface RegistrarParts {
  readonly location: LocationStore;
  readonly authenticator: {
    authenticate(request: Message, method: string, scheme: 'www'): Authentication;
  };
  readonly accounts: { get(name: string): unknown };
  /** Whether host and port (undefined where none is written) of an address of record are the agent's own. */
  isOurDomain(host: string, port: number | undefined): boolean;
  readonly limits?: Partial<RegistrarLimits>;
}

export interface RegistrarLimits {
  /** Seconds; a shorter wish is answered with 423. Default 60. */
  readonly minExpires: number;
  /** Seconds; a longer wish is shortened. Default 7200. */
  readonly maxExpires: number;
  /** Of one address of record. Default 10. */
  readonly mostBindings: number;
}

export interface RegisterContext {
  /** Where the request came from. */
  readonly source: Endpoint;
  /** The listener it came in by, `udp:10.0.0.15:5060`. */
  readonly listenerKey: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

export interface RegisterResult {
  readonly status: number;
  /** The default phrase of the status where it is undefined. */
  readonly reason?: string;
  /** Whole header lines with their CRLF. */
  readonly headers: string;
  /** Why a 401 was given: `wrong` is what a limit on guessing counts. */
  readonly failure?: AuthenticationFailure;
}

const defaultLimits: RegistrarLimits = { minExpires: 60, maxExpires: 7200, mostBindings: 10 };

/** Option tags of extensions that a REGISTER may require (RFC 3327). */
const supportedExtensions: ReadonlySet<string> = new Set(['path']);

/** Bounds on what is kept beside the contacts. */
const mostPaths = 10;
const longestPath = 512;
const longestCallId = 256;
const longestUserAgent = 128;

/**
 * Answers a REGISTER whose Request-URI is the agent's own (RFC 3261 10.3 step 1 was the proxy's). The numbers
 * are the steps of RFC 3261 10.3. A request changes all that it asks for, or nothing.
 */
export function handleRegister(
  request: Message,
  context: RegisterContext,
  parts: RegistrarParts,
): RegisterResult {
  const limits = { ...defaultLimits, ...parts.limits };
  const { location } = parts;
  if (request.defect !== undefined) return refused(400, request.defect);
  if (request.cseqNumber < 0 || request.cseqMethod !== 'REGISTER') return refused(400, 'Bad CSeq');
  const { callId } = request;
  if (callId === '' || callId.length > longestCallId) return refused(400, 'Bad Call-ID');

  // 2. Extensions that the client requires.
  const required = tags(request, REQUIRE);
  if (!required.every(isToken)) return refused(400, 'Bad Require');
  const unsupported = required.filter((tag) => !supportedExtensions.has(tag));
  if (unsupported.length > 0) return { status: 420, headers: `Unsupported: ${unsupported.join(', ')}\r\n` };

  // 3. Who is it?
  const authentication = parts.authenticator.authenticate(request, 'REGISTER', 'www');
  if (!authentication.ok) {
    const { status, headers, reason } = authentication;
    return { status, headers, failure: reason };
  }

  // 4. May this account change this address of record? The account's name is its user part.
  if (!request.to) return refused(400, 'Bad To');
  const to = parseSipUri(request.to.uri);
  // The address of record has to be a SIP URI (RFC 3261 10.2, RFC 4475 3.3.4).
  if (!to) return refused(400, 'To Is Not A SIP URI');
  if (to.user === undefined) return refused(404);
  const aor = unescapeUser(to.user);
  if (aor !== authentication.account) return refused(403, 'Not Your Address Of Record');

  // 5. The address of record, one and the same at whatever address or name of ours it was written.
  if (!parts.isOurDomain(to.host, to.port) || parts.accounts.get(aor) === undefined) return refused(404);

  // 6. Contacts; the star among them.
  const asked = requestedContacts(request, 2 * limits.mostBindings);
  if (asked.kind === 'malformed') return refused(400, asked.reason);
  const path = pathOf(request);
  if (path === undefined) return refused(400, 'Bad Path');

  // 7. The changes.
  const held = location.lookup(aor);
  let bindings = held;
  if (asked.kind === 'remove-all') {
    const facts = { callId, cseq: request.cseqNumber };
    if (held.some((binding) => isLater(binding, facts))) return outOfOrder();
    bindings = [];
  } else if (asked.kind === 'update') {
    if (asked.contacts.some(({ expires }) => expires > 0 && expires < limits.minExpires))
      return { status: 423, headers: `Min-Expires: ${limits.minExpires}\r\n` };
    const facts: RegisterFacts = {
      aor,
      callId,
      cseq: request.cseqNumber,
      received: context.source,
      listener: context.listenerKey,
      path,
      userAgent: oneLine(request.value(USER_AGENT) ?? '').slice(0, longestUserAgent),
      now: context.now,
      maxExpires: limits.maxExpires,
    };
    const changed = changedBindings(held, asked.contacts, facts);
    if (!changed) return outOfOrder();
    // A rule of ours that trying again does not change: 403, not 503.
    if (changed.length > limits.mostBindings && changed.length > held.length)
      return refused(403, 'Too Many Bindings');
    bindings = changed;
  }
  if (asked.kind !== 'query' && !location.replace(aor, bindings))
    return { status: 503, headers: 'Retry-After: 60\r\n' };

  // 8. What stands now.
  return { status: 200, headers: okHeaders(request, location.lookup(aor), path, context.now) };
}

function okHeaders(
  request: Message,
  bindings: readonly Binding[],
  path: readonly string[],
  now: number,
): string {
  let headers = '';
  for (const { contact, params, expiresAt } of bindings)
    headers += `Contact: <${contact}>${params};expires=${Math.ceil((expiresAt - now) / 1000)}\r\n`;
  // Only a client that knows Path is shown it (RFC 3327 5.3); it is kept either way.
  if (path.length > 0 && tags(request, SUPPORTED).includes('path')) {
    for (const route of path) headers += `Path: ${route}\r\n`;
    headers += 'Supported: path\r\n';
  }
  // The client's clock may be wrong; the RFC's SHOULD. A SIP-date is an RFC 1123 date in GMT (20.17).
  return `${headers}Date: ${new Date(now).toUTCString()}\r\n`;
}

/** The Path values, topmost first; undefined where one cannot be routed by. */
function pathOf(request: Message): string[] | undefined {
  const routes: string[] = [];
  for (const line of request.values(PATH)) {
    for (const route of splitList(oneLine(line))) {
      const address = parseNameAddr(route);
      if (!address || !parseSipUri(address.uri) || !/^[\x20-\x7e]+$/.test(route)) return undefined;
      if (routes.push(route) > mostPaths || route.length > longestPath) return undefined;
    }
  }
  return routes;
}

/** Option tags in lower case: they are compared without case (RFC 3261 7.3.1). */
function tags(request: Message, id: number): string[] {
  return request
    .values(id)
    .flatMap((value) => splitList(oneLine(value).toLowerCase()))
    .filter((tag) => tag !== '');
}

function outOfOrder(): RegisterResult {
  return refused(500, 'CSeq Out Of Order');
}

function refused(status: number, reason?: string): RegisterResult {
  return reason === undefined ? { status, headers: '' } : { status, reason, headers: '' };
}
