import { splitList } from '../sip/message/grammar.ts';
import { ROUTE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import type { SipUri } from '../sip/message/uri.ts';
import { parseRouteValue, type RouteValue, routeParams } from './record-route.ts';
import type { Target } from './target.ts';

/** What is left of the route set once our own values are taken off (RFC 3261 16.4). */
export interface PreprocessedRoute {
  /** The Request-URI, changed only where a strict router had put ours there. */
  readonly requestUri: string;
  /** The remaining Route values as written. */
  readonly routes: readonly string[];
  /** True where Route lines have to be written anew. */
  readonly changed: boolean;
  /** Our own values that were on top, in order: one, or two of a double Record-Route. */
  readonly own: readonly RouteValue[];
}

/** A Route header that cannot be read; answered with 400. */
export const badRoute = 'bad-route';

const nothing: readonly never[] = [];

/** Route information preprocessing (RFC 3261 16.4). */
export function preprocessRoute(
  request: Message,
  isSelf: (host: string, port: number | undefined) => boolean,
): PreprocessedRoute | typeof badRoute {
  if (request.find(ROUTE) < 0) {
    return { requestUri: request.requestUri, routes: nothing, changed: false, own: nothing };
  }
  const routes = listOf(request);
  let requestUri = request.requestUri;
  let changed = false;
  const own: RouteValue[] = [];

  // A strict router put our Record-Route into the Request-URI: the real one is the last Route.
  const uri = requestUri.includes('lr') ? request.uri : undefined;
  if (uri && routeParams(uri.params).loose && isSelf(uri.host, uri.port)) {
    const last = parseRouteValue(routes[routes.length - 1]!);
    if (!last) return badRoute;
    own.push({ text: `<${requestUri}>`, uri, params: routeParams(uri.params) });
    requestUri = last.text.slice(last.text.indexOf('<') + 1, last.text.lastIndexOf('>'));
    routes.pop();
    changed = true;
  }

  while (routes.length > 0) {
    const top = parseRouteValue(routes[0]!);
    if (!top) return badRoute;
    if (!isSelf(top.uri.host, top.uri.port)) break;
    // The second of a pair is taken only after it was seen to be ours as well; a single one ends it, so that two
    // passes through us (a spiral) stay two.
    if (own.length > 0 && !(own.length === 1 && own[0]!.params.double && top.params.double)) break;
    own.push(top);
    routes.shift();
    changed = true;
    if (!top.params.double) break;
  }
  return { requestUri, routes, changed, own };
}

function listOf(request: Message): string[] {
  const first = request.find(ROUTE);
  const value = request.valueAt(first);
  // Mostly one value on one line.
  if (!value.includes(',') && request.find(ROUTE, first + 1) < 0) return [value];
  return request.values(ROUTE).flatMap(splitList);
}

/** Where a request goes next, and how it is written for that hop (RFC 3261 16.6 steps 6 and 7). */
export interface NextHop {
  readonly requestUri: string;
  readonly routes: readonly string[];
  /** The URI that is resolved. */
  readonly uri: SipUri;
}

/** Undefined where the first Route is no SIP URI. */
export function nextHop(
  target: Pick<Target, 'requestUri' | 'uri'>,
  routes: readonly string[],
): NextHop | undefined {
  const { requestUri, uri } = target;
  const first = routes[0];
  if (first === undefined) return { requestUri, routes, uri };
  const top = parseRouteValue(first);
  if (!top) return undefined;
  if (top.params.loose) return { requestUri, routes, uri: top.uri };
  // A strict router: it wants its own URI as the Request-URI and the real one last (RFC 3261 16.6 step 6).
  const strict = first.slice(first.indexOf('<') + 1, first.lastIndexOf('>'));
  return { requestUri: strict, routes: [...routes.slice(1), `<${requestUri}>`], uri: top.uri };
}
