import { isNameAt } from '../sip/message/grammar.ts';
import { parseNameAddr } from '../sip/message/name-addr.ts';
import { parseSipUri, type SipUri } from '../sip/message/uri.ts';

/** Host (IPv6 in brackets) and port that the agent claims towards somebody. */
export interface SentBy {
  readonly host: string;
  readonly port: number;
}

/** Methods that open a dialog whose later requests have to come through us (RFC 3261 12.1, RFC 6665, RFC 3515). */
export const dialogMethods: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER']);

/**
 * One Record-Route value (RFC 3261 16.6 step 4). The port is written when it is not 5060; `;transport=` is left
 * out for UDP. `double` marks one of a pair, where request and response leave by different sockets.
 */
export function recordRouteValue(sentBy: SentBy, cookieParams: string, double: boolean): string {
  const port = sentBy.port === 5060 ? '' : `:${sentBy.port}`;
  return `<sip:${sentBy.host}${port};lr${double ? ';r2=on' : ''}${cookieParams}>`;
}

/** A Route value in its parts. */
export interface RouteValue {
  /** As written. */
  readonly text: string;
  readonly uri: SipUri;
  readonly params: RouteParams;
}

/** The URI parameters of a Route that we read. */
export interface RouteParams {
  readonly loose: boolean;
  /** One of a pair of Record-Routes that we wrote. */
  readonly double: boolean;
  /** Our signature, and the flows that it covers (see `DialogCookies`). */
  readonly signature: string | undefined;
  readonly callerFlow: string | undefined;
  readonly calleeFlow: string | undefined;
  readonly pass: string | undefined;
}

/** Reads them in one pass over `;lr;ck=…`. */
export function routeParams(params: string): RouteParams {
  let loose = false;
  let double = false;
  let signature: string | undefined;
  let callerFlow: string | undefined;
  let calleeFlow: string | undefined;
  let pass: string | undefined;
  for (let start = 1; start <= params.length; ) {
    let end = params.indexOf(';', start);
    if (end < 0) end = params.length;
    if (params.charCodeAt(start + 2) === 0x3d) {
      if (params.startsWith('ck=', start)) signature ??= params.slice(start + 3, end);
      else if (params.startsWith('cf=', start)) callerFlow ??= params.slice(start + 3, end);
      else if (params.startsWith('bf=', start)) calleeFlow ??= params.slice(start + 3, end);
      else if (params.startsWith('mp=', start)) pass ??= params.slice(start + 3, end);
      else if (params.startsWith('r2=on', start) && end === start + 5) double = true;
      else if (isNameAt(params, start, 'lr')) loose = true;
    } else if (end === start + 2 && isNameAt(params, start, 'lr')) {
      loose = true;
    }
    start = end + 1;
  }
  return { loose, double, signature, callerFlow, calleeFlow, pass };
}

/** Parses one Route value; undefined where it is no name-addr of a SIP URI. */
export function parseRouteValue(text: string): RouteValue | undefined {
  const address = parseNameAddr(text);
  const uri = address && parseSipUri(address.uri);
  if (!uri) return undefined;
  return { text, uri, params: routeParams(uri.params) };
}
