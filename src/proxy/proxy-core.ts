import { randomBytes } from 'node:crypto';
import type { AccountStore } from '../account/account-store.ts';
import type { DigestAuthenticator } from '../account/digest.ts';
import type { LocationStore } from '../location/location-store.ts';
import { type Endpoint, normalizeHost } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import type { RegisterResult } from '../registrar/registrar.ts';
import { CONTACT, PROXY_AUTHORIZATION, ROUTE, X_CLOUDSIP_RECORD } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { parseNameAddr } from '../sip/message/name-addr.ts';
import { buildResponse } from '../sip/message/response.ts';
import { parseSipUri, type SipUri, unescapeUser } from '../sip/message/uri.ts';
import { responseDestination, type ServerTransaction } from '../sip/transaction/server-transaction.ts';
import type { TransactionUser } from '../sip/transaction/transaction-layer.ts';
import type { Transport } from '../sip/transport/transport.ts';
import type { ForwardableRequest } from './client-branch.ts';
import type { DialogCookie, DialogSide } from './dialog-cookie.ts';
import { endDialog } from './end-dialog.ts';
import type { Forwarding } from './forwarding.ts';
import { hopSide } from './hop-side.ts';
import { targetsOf } from './locate-targets.ts';
import { isLoop, loopHash } from './loop-detection.ts';
import { badRoute, type PreprocessedRoute, preprocessRoute } from './loose-route.ts';
import { flowOf } from './nat.ts';
import { dialogMethods, parseRouteValue } from './record-route.ts';
import { ResponseContext } from './response-context.ts';
import { forwardStatelessly, passRequest, passResponse } from './stateless.ts';
import type { Target } from './target.ts';
import { type Refusal, validateRequest } from './validation.ts';

export interface ProxyOptions extends Omit<Forwarding, 'layer'> {
  readonly accounts: Pick<AccountStore, 'get'>;
  readonly authenticator: DigestAuthenticator;
  readonly location: Pick<LocationStore, 'lookup'>;
  /** The realm of challenges: credentials for it stop here. */
  readonly realm: string;
  /** Answers a REGISTER for a domain of ours. */
  register(request: Message, context: { source: Endpoint; listenerKey: string }): RegisterResult;
  listenerByKey(key: string): Listener | undefined;
  /**
   * Seconds to wait (Retry-After) where what is new at this listener is refused, undefined where it is welcome.
   * `registers` is true for a REGISTER of a user of ours.
   */
  refusesNew?(listener: Listener, registers: boolean): number | undefined;
}

/** Methods that the agent itself answers or passes on; told in Allow. */
const allow =
  'INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, PRACK, INFO, REFER, NOTIFY, SUBSCRIBE, MESSAGE, PUBLISH';

/** Methods that open a dialog or change its route, and those that are answered here. */
const needsState: ReadonlySet<string> = new Set([...dialogMethods, 'REGISTER']);
/** Methods that may carry an offer, or a key that was pressed and is to be told once. */
const needsStateWithMedia: ReadonlySet<string> = new Set(['UPDATE', 'PRACK', 'INFO']);

/** The proxy core: takes new requests and decides, in the order of RFC 3261 16, what becomes of them. */
export class ProxyCore implements TransactionUser {
  readonly #options: ProxyOptions;
  #forwarding: Forwarding | undefined;
  readonly #tagSeed = randomBytes(4).toString('hex');
  #tags = 0;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  /** The layer that this proxy is the user of; to be set before the first message. */
  attach(layer: Forwarding['layer']): void {
    this.#forwarding = { ...this.#options, layer };
    this.#options.media?.attach(this.#forwarding);
  }

  /**
   * Requests of which nothing has to be remembered go on without a transaction: both ends have one, and repeat what
   * gets lost. Whatever is not as usual about them is left to `request`.
   */
  passRequest(request: Message, topVia: string | undefined, source: Endpoint, transport: Transport): boolean {
    const forwarding = this.#forwarding!;
    const { media, calls } = forwarding;
    const { method, via } = request;
    if (needsState.has(method) || (media && needsStateWithMedia.has(method)) || transport.reliable)
      return false;
    if (request.find(ROUTE) < 0 || !via?.branch?.startsWith('z9hG4bK') || via.maddr !== undefined)
      return false;
    if (validateRequest(request) || request.maxForwards === 0) return false;
    const hash = loopHash(request);
    if (isLoop(request, hash, this.#isSelf)) return false;
    const route = preprocessRoute(request, this.#isSelf);
    const dialog = route === badRoute ? undefined : this.#dialogOf(request, route, source);
    if (route === badRoute || !dialog) return false;
    const uri = this.#uriOf(request, route);
    if (!uri || (route.routes.length === 0 && this.#isSelf(uri.host, uri.port))) return false;
    const { pass } = dialog.cookie;
    const passing = {
      message: request,
      topVia,
      sender: hopSide(transport.listener, source.address),
      route,
      exchange: undefined,
    };
    const responseTo = responseDestination(request, source, false);
    const target = this.#dialogTarget(route, uri, dialog);
    if (!passRequest(forwarding, passing, responseTo, target, pass, hash)) return false;
    this.#options.counters.requests++;
    media?.note(request, pass);
    if (method === 'BYE') {
      media?.ending(request, pass);
      calls?.ending(request.callId, request.fromTag, request.toTag);
    }
    return true;
  }

  passResponse(response: Message, transport: Transport): boolean {
    const forwarding = this.#forwarding!;
    const pass = passResponse(forwarding, response, transport);
    if (pass === undefined) return false;
    const { status } = response;
    if (response.cseqMethod === 'BYE' && status >= 200) endDialog(forwarding, response, status, pass);
    return true;
  }

  request(transaction: ServerTransaction): void {
    const { request } = transaction;
    this.#options.counters.requests++;
    const refusal = validateRequest(request);
    if (refusal) {
      this.#refuse(transaction, refusal);
      return;
    }
    const hash = loopHash(request);
    if (isLoop(request, hash, this.#isSelf)) {
      this.#refuse(transaction, { status: 482 });
      return;
    }
    const route = preprocessRoute(request, this.#isSelf);
    if (route === badRoute) {
      this.#refuse(transaction, { status: 400, reason: 'Bad Route Header' });
      return;
    }
    this.#route(transaction, route, hash);
  }

  cancel(transaction: ServerTransaction, invite: ServerTransaction | undefined): void {
    // RFC 3261 16.10 would pass on an unknown CANCEL statelessly; every INVITE here has state, so there is none.
    if (!invite) {
      this.#refuse(transaction, { status: 481 });
      return;
    }
    this.#respond(transaction, 200);
    if (invite.completed) return;
    invite.cancelled?.();
  }

  ack(request: Message, topVia: string | undefined, source: Endpoint, transport: Transport): void {
    const forwarding = this.#forwarding!;
    if (validateRequest(request)) return;
    const route = preprocessRoute(request, this.#isSelf);
    const dialog = route === badRoute ? undefined : this.#dialogOf(request, route, source);
    if (route === badRoute || !dialog) {
      // An ACK cannot be answered, and one that belongs to no dialog of ours is nobody's business.
      forwarding.counters.strayAcks++;
      return;
    }
    const uri = this.#uriOf(request, route);
    if (!uri) return;
    const exchange = forwarding.media?.exchange(request, dialog.cookie.pass);
    const target = this.#dialogTarget(route, uri, dialog);
    const sender = hopSide(transport.listener, source.address);
    forwardStatelessly(forwarding, { message: request, topVia, sender, route, exchange }, target);
  }

  #route(transaction: ServerTransaction, route: PreprocessedRoute, hash: string): void {
    const { request, source } = transaction;
    const uri = this.#uriOf(request, route);
    if (!uri) {
      this.#refuse(transaction, { status: 416 });
      return;
    }
    const dialog = this.#dialogOf(request, route, source);
    if (dialog && !(this.#isSelf(uri.host, uri.port) && route.routes.length === 0)) {
      this.#options.media?.note(request, dialog.cookie.pass);
      const targets = [[this.#dialogTarget(route, uri, dialog)]];
      this.#forward(transaction, route, hash, targets, [], undefined, dialog.cookie.pass);
      return;
    }
    const forUs = route.routes.length === 0 && this.#isSelf(uri.host, uri.port);
    const registers = forUs && request.method === 'REGISTER';
    // A To tag that nothing proves may be a user in the middle of a call who has moved: he is asked who he is.
    if (request.toTag === undefined) {
      const retryAfter = this.#options.refusesNew?.(transaction.transport.listener, registers);
      if (retryAfter !== undefined) {
        this.#refuse(transaction, { status: 503, headers: `Retry-After: ${retryAfter}\r\n` });
        return;
      }
    }
    if (registers) {
      this.#register(transaction);
      return;
    }
    if (forUs && uri.user === undefined) {
      this.#answer(transaction);
      return;
    }

    // A new request. Whoever says to be one of our users, or wants to go elsewhere, proves who he is.
    const removeLines: number[] = [];
    const caller = parseSipUri(request.from?.uri ?? '');
    let account: string | undefined;
    const callerIsOurs = caller !== undefined && this.#isSelf(caller.host, caller.port);
    if (!dialog && (callerIsOurs || !forUs)) {
      account = this.#authenticate(transaction, caller, callerIsOurs, removeLines);
      if (account === undefined) return;
    }
    if (!forUs) {
      const target = { requestUri: route.requestUri, uri, routes: [], flow: undefined, listener: undefined };
      this.#consider(transaction, account, undefined, removeLines);
      this.#forward(transaction, route, hash, [[target]], removeLines, account !== undefined);
      return;
    }
    const user = unescapeUser(uri.user!);
    if (!this.#options.accounts.get(user)) {
      this.#refuse(transaction, { status: 404 });
      return;
    }
    const groups = targetsOf(
      this.#options.location.lookup(user),
      this.#options.identity,
      this.#options.listenerByKey,
    );
    if (groups.length === 0) {
      this.#refuse(transaction, { status: 480 });
      return;
    }
    // RFC 3261 16.6: what remains of Max-Forwards must reach somebody.
    if (request.maxForwards === 0) {
      this.#refuse(transaction, { status: 483 });
      return;
    }
    this.#consider(transaction, account, user, removeLines);
    this.#forward(transaction, route, hash, groups, removeLines, account !== undefined);
  }

  /** Whether the call is recorded. That somebody asked for it is nobody's business beyond us. */
  #consider(
    { request, source, transport }: ServerTransaction,
    account: string | undefined,
    callee: string | undefined,
    removeLines: number[],
  ): void {
    for (let n = request.find(X_CLOUDSIP_RECORD); n >= 0; n = request.find(X_CLOUDSIP_RECORD, n + 1))
      removeLines.push(n);
    if (request.method !== 'INVITE' || request.toTag !== undefined || request.maxForwards === 0) return;
    this.#options.media?.taps?.consider({ request, source, listener: transport.listener, account, callee });
  }

  #uriOf(request: Message, route: PreprocessedRoute): SipUri | undefined {
    return route.requestUri === request.requestUri ? request.uri : parseSipUri(route.requestUri);
  }

  /** The dialog that our own signed Route proves; undefined where there is none, whatever the To tag says. */
  #dialogOf(
    request: Message,
    route: PreprocessedRoute,
    source: Endpoint,
  ): { cookie: DialogCookie; from: DialogSide } | undefined {
    const toTag = request.toTag;
    const first = route.own[0];
    if (toTag === undefined || !first) return undefined;
    const { cookies } = this.#options;
    const dialog = cookies.verify(first.params, request.callId, request.fromTag ?? '', toTag);
    if (!dialog) return undefined;
    // Both sides were shown the signature, so either could speak for the other and choose where we send to. Who
    // speaks for a side whose place is known speaks from there, or proves who he is: a phone may have moved. Its
    // ACK cannot be challenged, and goes where nobody can choose or nowhere.
    const { callerFlow, calleeFlow } = dialog.cookie;
    const [place, other] = dialog.from === 'caller' ? [callerFlow, calleeFlow] : [calleeFlow, callerFlow];
    if (!place || place.address === source.address || (request.method === 'ACK' && other)) return dialog;
    return undefined;
  }

  #dialogTarget(
    route: PreprocessedRoute,
    uri: SipUri,
    dialog: { cookie: DialogCookie; from: DialogSide },
  ): Target {
    const last = route.own[route.own.length - 1]!;
    const { identity } = this.#options;
    const place = dialog.from === 'caller' ? dialog.cookie.calleeFlow : dialog.cookie.callerFlow;
    // A proxy between us and him may have a port for each purpose, but stands where it stood.
    const next = place && route.routes[0] !== undefined ? parseRouteValue(route.routes[0])?.uri : undefined;
    const stays = next && place?.address === normalizeHost(next.host) && !next.params.includes('maddr');
    return {
      requestUri: route.requestUri,
      uri,
      routes: [],
      flow: stays ? undefined : place,
      pinned: true,
      // The second of a pair names the socket of the other side. A single one names the sender's own, and the
      // destination decides.
      listener:
        route.own.length > 1 ? identity.listenerNamed(last.uri.host, last.uri.port ?? 5060) : undefined,
    };
  }

  #authenticate(
    transaction: ServerTransaction,
    caller: SipUri | undefined,
    callerIsOurs: boolean,
    removeLines: number[],
  ): string | undefined {
    const { request } = transaction;
    const result = this.#options.authenticator.authenticate(request, request.method, 'proxy');
    if (!result.ok) {
      this.#options.counters.unauthorized++;
      this.#refuse(transaction, { status: result.status, headers: result.headers });
      return undefined;
    }
    if (callerIsOurs && unescapeUser(caller?.user ?? '') !== result.account) {
      this.#refuse(transaction, { status: 403, reason: 'From Is Not The Authenticated Account' });
      return undefined;
    }
    // Credentials for our realm are of no use beyond us (RFC 3261 22.3).
    for (let n = request.find(PROXY_AUTHORIZATION); n >= 0; n = request.find(PROXY_AUTHORIZATION, n + 1)) {
      if (request.valueAt(n).includes(`realm="${this.#options.realm}"`)) removeLines.push(n);
    }
    return result.account;
  }

  #forward(
    transaction: ServerTransaction,
    route: PreprocessedRoute,
    hash: string,
    groups: readonly (readonly Target[])[],
    removeLines: readonly number[],
    callerProved = false,
    pass = 0,
  ): void {
    const forwarding = this.#forwarding!;
    const { request, source, transport, topVia } = transaction;
    if (request.maxForwards === 0) {
      // OPTIONS that may go no further is answered here (RFC 3261 16.3 step 3).
      if (request.method === 'OPTIONS') this.#answer(transaction);
      else this.#refuse(transaction, { status: 483 });
      return;
    }
    const callerFlow = this.#callerFlow(request, source, callerProved);
    const exchange = forwarding.media?.exchange(request, pass);
    const forwardable: ForwardableRequest = {
      message: request,
      topVia,
      sender: hopSide(transport.listener, source.address),
      routes: route.routes,
      routesChanged: route.changed,
      loopHash: hash,
      callerFlow,
      cookieParams: this.#cookieParams(request, callerFlow, exchange?.pass ?? 0),
      removeLines,
      exchange,
    };
    const context = new ResponseContext(forwarding, transaction, forwardable, groups, this.#newTag, pass);
    if (request.method === 'INVITE') transaction.cancelled = () => context.cancel();
    context.start();
  }

  #callerFlow(request: Message, source: Endpoint, callerProved: boolean): Endpoint | undefined {
    if (request.toTag !== undefined || !dialogMethods.has(request.method)) return undefined;
    const contact = parseSipUri(parseNameAddr(request.value(CONTACT) ?? '')?.uri ?? '');
    // Where a user of ours is need not be believed: it was seen.
    if (callerProved) return source;
    return contact && flowOf(contact, source, (address) => this.#options.identity.isLocal(address));
  }

  #cookieParams(
    request: Message,
    callerFlow: Endpoint | undefined,
    pass: number,
  ): ForwardableRequest['cookieParams'] {
    if (request.toTag !== undefined || !dialogMethods.has(request.method)) return () => undefined;
    const { cookies } = this.#options;
    return (calleeFlow) =>
      cookies.params(request.callId, request.fromTag ?? '', { callerFlow, calleeFlow, pass });
  }

  #register(transaction: ServerTransaction): void {
    const { request, source, transport } = transaction;
    const reply = this.#options.register(request, {
      source,
      listenerKey: listenerKey(transport.listener),
    });
    this.#respond(transaction, reply.status, reply.reason, reply.headers);
  }

  /** Requests to the agent itself rather than to a user. */
  #answer(transaction: ServerTransaction): void {
    if (transaction.request.method === 'OPTIONS') {
      // RFC 3261 11.2.
      this.#respond(transaction, 200, undefined, `Allow: ${allow}\r\nAccept: application/sdp\r\n`);
      return;
    }
    this.#refuse(transaction, { status: 404 });
  }

  #refuse(transaction: ServerTransaction, refusal: Refusal): void {
    this.#options.counters.refused++;
    this.#respond(transaction, refusal.status, refusal.reason, refusal.headers);
  }

  #respond(transaction: ServerTransaction, status: number, reason?: string, headers?: string): void {
    const { request, topVia } = transaction;
    transaction.respond(
      buildResponse(request, status, { topVia, toTag: this.#newTag(), reason, headers }),
      status,
    );
  }

  readonly #newTag = (): string => {
    this.#tags++;
    return `cs${this.#tagSeed}${this.#tags.toString(36)}`;
  };

  readonly #isSelf = (host: string, port: number | undefined): boolean =>
    this.#options.identity.isSelf(host, port);
}
