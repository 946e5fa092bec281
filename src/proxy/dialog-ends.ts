import type { Endpoint } from '../net/address.ts';
import { ownText } from '../net/own-text.ts';
import { splitList } from '../sip/message/grammar.ts';
import { CONTACT, FROM, RECORD_ROUTE, TO } from '../sip/message/header-id.ts';
import { type Message, parseMessage } from '../sip/message/message.ts';
import { parseNameAddr } from '../sip/message/name-addr.ts';
import { parseSipUri } from '../sip/message/uri.ts';
import { type BranchOwner, ClientBranch, type ForwardableRequest } from './client-branch.ts';
import type { Forwarding } from './forwarding.ts';
import { type HopSide, hopSide, sideNow } from './hop-side.ts';
import { loopHash } from './loop-detection.ts';
import { parseRouteValue } from './record-route.ts';
import { forwardStatelessly } from './stateless.ts';
import type { Target } from './target.ts';

export type DialogEndName = 'caller' | 'callee';

/** Where one side of a call is reached: what a request of ours to it needs. */
interface DialogEnd {
  /** From or To as it stands in its own requests, with its tag. */
  readonly nameAddr: string;
  target: string;
  readonly routes: readonly string[];
  readonly flow: Endpoint | undefined;
  readonly side: HopSide;
  /** The highest CSeq that it was seen to use; 0 before its first request. */
  cseq: number;
}

/** Both sides of a dialog that the proxy may have to end by itself. A few hundred bytes, kept only where asked for. */
export interface DialogEnds {
  readonly callId: string;
  readonly caller: DialogEnd;
  readonly callee: DialogEnd;
}

/** How the proxy saw the two sides while the call was set up. */
export interface SeenSides {
  readonly callerFlow: Endpoint | undefined;
  readonly callerSide: HopSide;
  readonly calleeFlow: Endpoint | undefined;
  readonly calleeSide: HopSide;
}

/** Undefined where the INVITE or its 2xx does not say where the sides are. */
export function dialogEnds(
  invite: Message,
  response: Message,
  seen: SeenSides,
  isOurs: (host: string, port: number | undefined) => boolean,
): DialogEnds | undefined {
  const callerTarget = contactOf(invite);
  const calleeTarget = contactOf(response);
  if (callerTarget === undefined || calleeTarget === undefined) return undefined;
  // The response repeats the whole list: those beyond us, ours, those before us (RFC 3261 12.1.1).
  const upstream = recordRoutes(invite);
  const all = recordRoutes(response);
  const beyond = all.slice(0, Math.max(0, all.length - upstream.length));
  while (beyond.length > 0) {
    const last = parseRouteValue(beyond.at(-1)!);
    if (last?.params.signature === undefined || !isOurs(last.uri.host, last.uri.port)) break;
    beyond.pop();
  }
  return {
    callId: ownText(invite.callId),
    caller: {
      nameAddr: ownText(invite.value(FROM) ?? ''),
      target: callerTarget,
      routes: upstream,
      flow: seen.callerFlow,
      side: seen.callerSide,
      cseq: invite.cseqNumber,
    },
    callee: {
      nameAddr: ownText(response.value(TO) ?? ''),
      target: calleeTarget,
      routes: beyond.toReversed(),
      flow: seen.calleeFlow,
      side: seen.calleeSide,
      cseq: 0,
    },
  };
}

/** A request of one side passed: its number counts, and a new Contact moves it (RFC 3261 12.2.1.2). */
export function noteRequest(ends: DialogEnds, from: DialogEndName, request: Message): void {
  const end = ends[from];
  end.cseq = Math.max(end.cseq, request.cseqNumber);
  if (request.method === 'INVITE' || request.method === 'UPDATE')
    end.target = contactOf(request) ?? end.target;
}

/** Says BYE to one side in the name of the other. What comes back changes nothing. */
export function sayBye(forwarding: Forwarding, ends: DialogEnds, to: DialogEndName, reason: string): void {
  const from = to === 'caller' ? 'callee' : 'caller';
  const cseq = ++ends[from].cseq;
  const parts = requestTo(forwarding, ends, to, 'BYE', cseq, `Reason: SIP;cause=200;text="${reason}"\r\n`);
  if (!parts) return;
  const { message, target, listener, routes } = parts;
  const request: ForwardableRequest = {
    message,
    topVia: undefined,
    sender: hopSide(listener, listener.bound.address),
    routes,
    routesChanged: true,
    loopHash: loopHash(message),
    callerFlow: undefined,
    cookieParams: () => undefined,
    removeLines: [],
    exchange: undefined,
  };
  new ClientBranch(nobody, forwarding, request, target, '').start();
}

/** Acknowledges a 2xx that the caller never gets to see (RFC 3261 13.2.2.4). */
export function acknowledge(forwarding: Forwarding, ends: DialogEnds): void {
  const parts = requestTo(forwarding, ends, 'callee', 'ACK', ends.caller.cseq, '');
  if (!parts) return;
  const { message, target, listener, routes } = parts;
  forwardStatelessly(
    forwarding,
    {
      message,
      topVia: undefined,
      sender: hopSide(listener, listener.bound.address),
      route: { requestUri: target.requestUri, routes, changed: true, own: [] },
      exchange: undefined,
    },
    target,
  );
}

const nobody: BranchOwner = { branchResponse: () => {}, branchEnded: () => {} };

function requestTo(
  forwarding: Forwarding,
  ends: DialogEnds,
  to: DialogEndName,
  method: string,
  cseq: number,
  headers: string,
):
  | { message: Message; target: Target; listener: HopSide['listener']; routes: readonly string[] }
  | undefined {
  const end = ends[to];
  const other = ends[to === 'caller' ? 'callee' : 'caller'];
  const uri = parseSipUri(end.target);
  const message = parseMessage(
    `${method} ${end.target} SIP/2.0\r\nMax-Forwards: 70\r\nFrom: ${other.nameAddr}\r\nTo: ${end.nameAddr}\r\n` +
      `Call-ID: ${ends.callId}\r\nCSeq: ${cseq} ${method}\r\n${headers}Content-Length: 0\r\n\r\n`,
  );
  if (!uri || !message) return undefined;
  const { flow, routes } = end;
  const { listener } = sideNow(forwarding.identity, end.side);
  const target = { requestUri: end.target, uri, routes: [], flow, pinned: flow !== undefined, listener };
  return { message, target, listener, routes };
}

function contactOf(message: Message): string | undefined {
  const uri = parseNameAddr(message.value(CONTACT) ?? '')?.uri;
  return uri !== undefined && parseSipUri(uri) ? ownText(uri) : undefined;
}

function recordRoutes(message: Message): string[] {
  return message.find(RECORD_ROUTE) < 0 ? [] : message.values(RECORD_ROUTE).flatMap(splitList).map(ownText);
}
