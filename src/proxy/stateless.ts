import type { Endpoint } from '../net/address.ts';
import type { Message } from '../sip/message/message.ts';
import { writeForwardedRequest } from './forward-request.ts';
import { egressTo, type Forwarding } from './forwarding.ts';
import { type HopSide, hopSide } from './hop-side.ts';
import { statelessBranch } from './loop-detection.ts';
import { nextHop, type PreprocessedRoute } from './loose-route.ts';
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
    const { sentBy, transport } = egress;
    let body: string | undefined;
    try {
      const receiver = hopSide(egress.listener, endpoint.address);
      body = request.exchange?.requestBody('', request.sender, receiver);
    } catch (error) {
      forwarding.log.warn({ err: error, callId: message.callId }, 'media of an ACK cannot be relayed');
      // Nobody answers an ACK. Without its answer the callee knows that there is no session (RFC 3261 13.2.1).
      body = '';
    }
    // The same branch for a retransmission, another for every other request (RFC 3261 16.11).
    const branch = statelessBranch(message);
    const text = writeForwardedRequest(message, {
      requestUri: hop.requestUri,
      via: `SIP/2.0/UDP ${sentBy.host}:${sentBy.port};rport;branch=${branch}`,
      recordRoutes: [],
      routes: route.changed || hop.routes !== route.routes ? hop.routes : undefined,
      topVia: request.topVia,
      body,
    });
    forwarding.counters.forwarded++;
    transport.send(text, endpoint);
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
