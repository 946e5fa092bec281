import { type Endpoint, normalizeHost } from '../net/address.ts';
import { parseInteger } from '../sip/message/grammar.ts';
import { VIA } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseVia, type Via } from '../sip/message/via.ts';
import type { Transport } from '../sip/transport/transport.ts';
import type { DialogCookies } from './dialog-cookie.ts';
import { writeForwardedRequest } from './forward-request.ts';
import { writeForwardedResponse } from './forward-response.ts';
import { type Egress, egressTo, type Forwarding } from './forwarding.ts';
import { type HopSide, hopSide } from './hop-side.ts';
import { statelessBranch } from './loop-detection.ts';
import { type NextHop, nextHop, type PreprocessedRoute } from './loose-route.ts';
import type { MediaExchange } from './media-exchange.ts';
import type { Target } from './target.ts';

export interface StatelessRequest {
  readonly message: Message;
  readonly topVia: string | undefined;
  readonly sender: HopSide;
  readonly route: PreprocessedRoute;
  readonly exchange: MediaExchange | undefined;
}

/** Forwards the ACK to a 2xx: it has no transaction, so it is sent and forgotten (RFC 3261 16.11). */
export function forwardStatelessly(forwarding: Forwarding, request: StatelessRequest, target: Target): void {
  const { message, route } = request;
  if (message.maxForwards === 0) return;
  const hop = nextHop(target, route.routes);
  if (!hop) return;
  const send = (endpoint: Endpoint | undefined): void => {
    if (!endpoint) return;
    const egress = egressTo(forwarding, endpoint, request.sender.listener, target.listener);
    if (!egress) return;
    let body: string | undefined;
    try {
      const receiver = hopSide(egress.listener, endpoint.address);
      body = request.exchange?.requestBody('', request.sender, receiver);
    } catch (error) {
      forwarding.log.warn({ err: error, callId: message.callId }, 'media of an ACK cannot be relayed');
      // Nobody answers an ACK. Without its answer the callee knows that there is no session (RFC 3261 13.2.1).
      body = '';
    }
    write(forwarding, request, hop, egress, endpoint, statelessBranch(message), body);
  };
  if (target.flow && (target.pinned || route.routes.length === 0)) {
    send(target.flow);
    return;
  }
  const now = forwarding.resolver.resolveNow(hop.uri);
  if (now) {
    send(now[0]);
    return;
  }
  forwarding.resolver.resolve(hop.uri).then(
    (endpoints) => send(endpoints[0]),
    (error: unknown) =>
      forwarding.log.debug({ host: hop.uri.host, err: error }, 'next hop of an ACK cannot be resolved'),
  );
}

/** What every response to a request without a transaction has to bring back. */
const passPrefix = 'z9hG4bKs';
const sealLength = 11;
/**
 * What is sealed is no longer than that, and neither is the hop that it stands in: strangers can have us look for a
 * seal in each message.
 */
const maxSealed = 1000;
const maxHop = 2000;
/**
 * A response is believed in the period of its request and the next one. Longer than any transaction, so that hardly a
 * copy of a request falls into another period than the first; but nobody has us send to an old peer for ever.
 */
const periodMs = 600_000;

/**
 * Forwards a request within a dialog without a transaction: its sender repeats it, and each copy takes the same way
 * with the same branch (RFC 3261 16.11). False, and nothing done, where the way is not the same for certain (there are
 * several next hops, or DNS is to be asked) or leads through two sockets, which a response would not know of.
 */
export function passRequest(
  forwarding: Forwarding,
  request: StatelessRequest,
  responseTo: Endpoint,
  target: Target,
  pass: number,
  hash: string,
): boolean {
  const { message, route, sender } = request;
  const hop = nextHop(target, route.routes);
  if (!hop) return false;
  let endpoint = target.flow;
  if (!endpoint || !(target.pinned || route.routes.length === 0)) {
    const now = forwarding.resolver.resolveNow(hop.uri);
    if (now?.length !== 1) return false;
    endpoint = now[0]!;
  }
  const egress = egressTo(forwarding, endpoint, sender.listener, target.listener);
  if (!egress || egress.listener !== sender.listener || egress.transport.reliable) return false;
  const { clock, cookies } = forwarding;
  const period = Math.floor(clock.now() / periodMs);
  const { via } = message;
  if (!via || !isShort(message, via) || (request.topVia?.length ?? via.end - via.start) > maxHop)
    return false;
  const seal = sealOf(cookies, period, message, message.method, via, responseTo, pass);
  write(forwarding, request, hop, egress, endpoint, `${passPrefix}${seal}${pass}.${hash}`, undefined);
  return true;
}

/**
 * Forwards the response to a request that `passRequest` forwarded, to where its next Via says; returns the pass
 * of the request. Undefined, and nothing done, where it is not proved by our seal: a response that matches no
 * request of ours goes nowhere (RFC 6026 8.2).
 */
export function passResponse(
  { clock, cookies }: Pick<Forwarding, 'clock' | 'cookies'>,
  response: Message,
  transport: Transport,
): number | undefined {
  const { branch } = response.via!;
  if (branch === undefined || !branch.startsWith(passPrefix)) return undefined;
  const passStart = passPrefix.length + sealLength;
  const pass = parseInteger(branch.slice(passStart, branch.indexOf('.', passStart)), 99);
  const next = nextVia(response);
  if (pass === undefined || !next || !isShort(response, next)) return undefined;
  const port = next.rport ? parseInteger(next.rport, 65535) : next.port || 5060;
  if (port === undefined) return undefined;
  // `received` is as we wrote it, with the zone of a link-local address.
  const destination = { address: next.received ?? normalizeHost(next.host), port };
  const sealed = (period: number): boolean => {
    const seal = sealOf(cookies, period, response, response.cseqMethod, next, destination, pass);
    return branch.startsWith(seal, passPrefix.length);
  };
  const period = Math.floor(clock.now() / periodMs);
  if (!sealed(period) && !sealed(period - 1)) return undefined;
  // A 503 speaks of its sender, not of us: whoever hears it may send us nothing for a while (RFC 3261 16.7 step 6).
  const statusLine = response.status === 503 ? 'SIP/2.0 500 Server Internal Error' : undefined;
  const text = writeForwardedResponse(response, { statusLine, body: undefined, recordRoutes: [] });
  if (text === undefined) return undefined;
  transport.send(text, destination);
  return pass;
}

/** The hop that a request came from, in its response; one that is too long is cut, and then not ours. */
function nextVia(response: Message): Via | undefined {
  const first = response.find(VIA);
  const end = response.valueEnd(first);
  const comma = response.text.indexOf(',', response.via!.end);
  if (comma >= 0 && comma < end) return parseVia(response.text, comma + 1, Math.min(end, comma + 1 + maxHop));
  const second = response.find(VIA, first + 1);
  if (second < 0) return undefined;
  const start = response.valueStart(second);
  return parseVia(response.text, start, Math.min(response.valueEnd(second), start + maxHop));
}

function isShort({ callId, fromTag = '', toTag = '' }: Message, { branch = '' }: Via): boolean {
  return callId.length + fromTag.length + toTag.length + branch.length <= maxSealed;
}

/** Over all that a response is forwarded by, so that nobody has us send what he likes where he likes. */
function sealOf(
  cookies: DialogCookies,
  period: number,
  message: Message,
  method: string,
  { branch }: Via,
  { address, port }: Endpoint,
  pass: number,
): string {
  const { cseqNumber, callId, fromTag, toTag } = message;
  // The length parts a branch from what follows it: whoever writes one may write spaces into it.
  return cookies.seal(
    `${period} ${address} ${port} ${pass} ${cseqNumber} ${method} ${branch?.length} ${branch} ${callId} ${fromTag} ${toTag}`,
  );
}

function write(
  forwarding: Forwarding,
  { message, route, topVia }: StatelessRequest,
  hop: NextHop,
  { sentBy, transport }: Egress,
  endpoint: Endpoint,
  branch: string,
  body: string | undefined,
): void {
  const text = writeForwardedRequest(message, {
    requestUri: hop.requestUri,
    via: `SIP/2.0/UDP ${sentBy.host}:${sentBy.port};rport;branch=${branch}`,
    recordRoutes: [],
    routes: route.changed || hop.routes !== route.routes ? hop.routes : undefined,
    topVia,
    body,
  });
  forwarding.counters.forwarded++;
  transport.send(text, endpoint);
}
