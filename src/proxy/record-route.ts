import { parseNameAddr } from '../sip/message/name-addr.ts';
import { paramValue } from '../sip/message/params.ts';
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
  readonly loose: boolean;
  /** One of a pair of Record-Routes that we wrote. */
  readonly double: boolean;
}

/** Parses one Route value; undefined where it is no name-addr of a SIP URI. */
export function parseRouteValue(text: string): RouteValue | undefined {
  const address = parseNameAddr(text);
  const uri = address && parseSipUri(address.uri);
  if (!uri) return undefined;
  return {
    text,
    uri,
    loose: paramValue(uri.params, 'lr') !== undefined,
    double: paramValue(uri.params, 'r2') === 'on',
  };
}
