import type { Endpoint } from '../net/address.ts';
import type { Message } from '../sip/message/message.ts';
import type { ClientTransaction, ClientTransactionUser } from '../sip/transaction/client-transaction.ts';
import { buildCancel } from '../sip/transaction/hop-by-hop.ts';
import { SingleTimer, type TimerOwner } from '../sip/transaction/timer-queues.ts';
import { writeForwardedRequest } from './forward-request.ts';
import { type Egress, egressTo, type Forwarding, newBranch } from './forwarding.ts';
import { type HopSide, hopSide, sideNow } from './hop-side.ts';
import { type NextHop, nextHop } from './loose-route.ts';
import type { MediaExchange } from './media-exchange.ts';
import { mediaRefusal } from './media-refusal.ts';
import { type RecordRoutePair, recordRoutePair } from './record-route-pair.ts';
import type { Target } from './target.ts';
import type { Refusal } from './validation.ts';

/** A request as the proxy forwards it, the same for all its branches. */
export interface ForwardableRequest {
  readonly message: Message;
  readonly topVia: string | undefined;
  readonly sender: HopSide;
  /** The Route values that remain of the received ones. */
  readonly routes: readonly string[];
  /** False where the Route lines stay as they were received. */
  readonly routesChanged: boolean;
  readonly loopHash: string;
  /** Where the caller is reached, when a NAT makes his Contact useless or he is a user of ours. */
  readonly callerFlow: Endpoint | undefined;
  /** The cookie's URI parameters for this callee; undefined where no Record-Route is added. */
  cookieParams(calleeFlow: Endpoint | undefined): string | undefined;
  readonly removeLines: readonly number[];
  readonly exchange: MediaExchange | undefined;
}

/** What a branch tells the response context. */
export interface BranchOwner {
  branchResponse(branch: ClientBranch, response: Message): void;
  /** The branch ended without a final response of its own: with this status. */
  branchEnded(branch: ClientBranch, status: number): void;
}

/** Timer C: how long a branch may ring without a word (RFC 3261 16.6 step 11, over three minutes). */
const timerCMs = 185_000;
/** How long a cancelled branch may take to end by itself (RFC 3261 9.1). */
const cancelledMs = 32_000;
/** How many addresses of one target are tried (RFC 3263 4.3). */
const maxAttempts = 4;

const noRewrites: RecordRoutePair['rewrites'] = [];
const noEndpoints: readonly Endpoint[] = [];

/** One branch of a response context: one target, tried at one address after the other. */
export class ClientBranch implements ClientTransactionUser, TimerOwner {
  /** Names the branch to the media anchor; stays the same over all attempts. */
  readonly mediaBranch: string;
  receiver: HopSide | undefined;
  recordRouteRewrites: RecordRoutePair['rewrites'] = noRewrites;
  /** The final response; of one that was forwarded, or is not there, the status. */
  final: Message | number | undefined;
  /** Why we ended the branch ourselves, where the caller is told more than a status. */
  refusal: Refusal | undefined;
  readonly #owner: BranchOwner;
  readonly #forwarding: Forwarding;
  /** Until the branch has ended: what stays for retransmitted 2xx responses is small. */
  #request: ForwardableRequest | undefined;
  /** As long as the request. */
  #target: Target | undefined;
  readonly #isInvite: boolean;
  #endpoints: readonly Endpoint[] = noEndpoints;
  #routeSet: readonly string[] = [];
  #hop: NextHop | undefined;
  #attempt = 0;
  #calleeFlow: Endpoint | undefined;
  #transaction: ClientTransaction | undefined;
  #sentText = '';
  #egress: Egress | undefined;
  #provisional = false;
  #cancelled = false;
  /** Timer C, and once the branch is cancelled the wait for its end. */
  #timer: SingleTimer | undefined;

  constructor(
    owner: BranchOwner,
    forwarding: Forwarding,
    request: ForwardableRequest,
    target: Target,
    mediaBranch: string,
  ) {
    this.#owner = owner;
    this.#forwarding = forwarding;
    this.#request = request;
    this.#target = target;
    this.mediaBranch = mediaBranch;
    this.#isInvite = request.message.method === 'INVITE';
  }

  start(): void {
    const target = this.#target!;
    this.#routeSet = this.#routes();
    const hop = nextHop(target, this.#routeSet);
    if (!hop) {
      this.#end(404);
      return;
    }
    this.#hop = hop;
    if (target.flow && (target.pinned || this.#routeSet.length === 0)) {
      this.#endpoints = [target.flow];
      this.#tryNext();
      return;
    }
    const { resolver } = this.#forwarding;
    const now = resolver.resolveNow(hop.uri);
    if (now) {
      this.#endpoints = now;
      this.#tryNext();
      return;
    }
    resolver.resolve(hop.uri).then(
      (endpoints) => {
        if (this.final !== undefined) return;
        this.#endpoints = endpoints;
        this.#tryNext();
      },
      (error: unknown) => {
        this.#forwarding.log.debug({ host: hop.uri.host, err: error }, 'next hop cannot be resolved');
        this.#end(404);
      },
    );
  }

  /** Gives the branch up: CANCEL once something came back, nothing before that (RFC 3261 9.1). */
  cancel(): void {
    if (this.#cancelled || this.final !== undefined) return;
    this.#cancelled = true;
    if (!this.#transaction) {
      this.#end(487);
      return;
    }
    this.#startTimer(cancelledMs);
    if (this.#provisional) this.#sendCancel();
  }

  response(response: Message): void {
    const { status } = response;
    if (this.final !== undefined) {
      // A further 2xx of the same branch: a retransmission or another fork downstream.
      if (status >= 200 && status < 300 && this.#isInvite) this.#owner.branchResponse(this, response);
      return;
    }
    if (status < 200) {
      if (this.#isInvite) {
        if (!this.#provisional) {
          this.#provisional = true;
          if (this.#cancelled) this.#sendCancel();
        }
        if (!this.#cancelled && (status > 100 || this.#timer === undefined)) this.#startTimer(timerCMs);
      }
      if (status > 100) this.#owner.branchResponse(this, response);
      return;
    }
    // 503: this server does not serve just now, so the next one is asked (RFC 3263 4.3).
    if (status === 503 && !this.#cancelled && this.#hasNext()) {
      this.#tryNext();
      return;
    }
    // A 2xx goes on at once: nobody asks for it again, and its text would stay as long as the transaction.
    this.final = status < 300 ? status : response;
    this.#release();
    this.#owner.branchResponse(this, response);
  }

  timedOut(): void {
    if (this.final !== undefined) return;
    if (!this.#cancelled && this.#hasNext()) this.#tryNext();
    else this.#end(this.#cancelled ? 487 : 408);
  }

  /** Where the callee is reached besides his Contact: what the cookie of the dialog says of him. */
  get calleeFlow(): Endpoint | undefined {
    return this.#calleeFlow;
  }

  /** The rest of the route set: the target's own Path, then what the request came with. */
  #routes(): readonly string[] {
    const { routes } = this.#request!;
    const own = this.#target!.routes;
    if (own.length === 0) return routes;
    return routes.length === 0 ? own : [...own, ...routes];
  }

  #hasNext(): boolean {
    return this.#attempt < Math.min(this.#endpoints.length, maxAttempts);
  }

  #tryNext(): void {
    const endpoint = this.#endpoints[this.#attempt++];
    if (!endpoint) {
      this.#end(this.#attempt === 1 ? 404 : 503);
      return;
    }
    const request = this.#request!;
    const { sender, message } = request;
    const egress = egressTo(this.#forwarding, endpoint, sender.listener, this.#target!.listener);
    if (!egress) {
      this.#forwarding.log.debug(
        { destination: endpoint.address },
        'no listener reaches this address family',
      );
      if (this.#hasNext()) this.#tryNext();
      else this.#end(503);
      return;
    }
    this.#egress = egress;
    this.receiver = hopSide(egress.listener, endpoint.address);
    let body: string | undefined;
    try {
      body = request.exchange?.requestBody(this.mediaBranch, sender, this.receiver);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#forwarding.log.warn({ err: error, callId: message.callId }, 'media cannot be relayed');
      this.refusal = mediaRefusal(error, true);
      this.#end(this.refusal.status);
      return;
    }
    const branch = newBranch(request.loopHash);
    this.#sentText = this.#write(egress, endpoint, branch, body);
    this.#forwarding.counters.forwarded++;
    this.#transaction = this.#forwarding.layer.send(
      {
        text: this.#sentText,
        branch,
        method: message.method,
        transport: egress.transport,
        destination: endpoint,
      },
      this,
    );
  }

  #write(egress: Egress, endpoint: Endpoint, branch: string, body: string | undefined): string {
    const request = this.#request!;
    const { message, sender, topVia, removeLines } = request;
    const { sentBy, listener } = egress;
    this.#calleeFlow = this.#target!.ours ? endpoint : this.#target!.flow;
    const cookie = request.cookieParams(this.#calleeFlow);
    let recordRoutes: readonly string[] = [];
    if (cookie !== undefined) {
      const pair = recordRoutePair(
        this.#forwarding.identity,
        sender.listener,
        sender.peerAddress,
        listener,
        endpoint.address,
        cookie,
      );
      recordRoutes = pair.seenByCallee;
      this.recordRouteRewrites = pair.rewrites;
    }
    const hop = this.#hop!;
    const rewriteRoutes =
      request.routesChanged || this.#target!.routes.length > 0 || hop.routes !== this.#routeSet;
    return writeForwardedRequest(message, {
      requestUri: hop.requestUri,
      via: `SIP/2.0/UDP ${sentBy.host}:${sentBy.port};rport;branch=${branch}`,
      recordRoutes,
      routes: rewriteRoutes ? hop.routes : undefined,
      topVia,
      body,
      removeLines,
    });
  }

  #sendCancel(): void {
    const transaction = this.#transaction;
    const egress = this.#egress;
    const destination = this.#endpoints[this.#attempt - 1];
    if (!transaction || !egress || !destination) return;
    const { identity, layer } = this.#forwarding;
    const { listener } = this.receiver ? sideNow(identity, this.receiver) : egress;
    layer.send(
      {
        text: buildCancel(this.#sentText),
        branch: transaction.key,
        method: 'CANCEL',
        transport: this.#forwarding.transportOf(listener) ?? egress.transport,
        destination,
      },
      ignored,
    );
  }

  timerFired(): void {
    // RFC 3261 16.8: with a provisional response the branch is cancelled, without one it is as if 408 had come.
    if (this.#cancelled) this.#end(487);
    else if (this.#provisional) this.cancel();
    else this.#end(408);
  }

  #startTimer(delayMs: number): void {
    this.#timer ??= new SingleTimer(this);
    this.#forwarding.layer.queues.start(this.#timer, delayMs);
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#forwarding.layer.queues.stop(this.#timer);
    this.#timer = undefined;
  }

  #release(): void {
    this.#stopTimer();
    this.#request = undefined;
    this.#target = undefined;
    this.#transaction = undefined;
    this.#egress = undefined;
    this.#hop = undefined;
    this.#endpoints = noEndpoints;
    this.#sentText = '';
  }

  #end(status: number): void {
    if (this.final !== undefined) return;
    this.final = status;
    this.#transaction?.abandon();
    this.#release();
    this.#owner.branchEnded(this, status);
  }
}

/** A CANCEL's own response changes nothing: the INVITE answers for itself. */
const ignored: ClientTransactionUser = { response: () => {}, timedOut: () => {} };
