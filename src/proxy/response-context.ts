import { PROXY_AUTHENTICATE, WWW_AUTHENTICATE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';
import { buildResponse } from '../sip/message/response.ts';
import type { ServerTransaction } from '../sip/transaction/server-transaction.ts';
import { type BranchOwner, ClientBranch, type ForwardableRequest } from './client-branch.ts';
import { acknowledge, type DialogEnds, dialogEnds, sayBye } from './dialog-ends.ts';
import { endDialog } from './end-dialog.ts';
import { writeForwardedResponse } from './forward-response.ts';
import type { Forwarding } from './forwarding.ts';
import { type HopSide, sideNow } from './hop-side.ts';
import { quickHash } from './loop-detection.ts';
import type { MediaExchange } from './media-exchange.ts';
import { mediaRefusal } from './media-refusal.ts';
import type { Target } from './target.ts';

/** More dialogs of one INVITE are not counted. */
const maxCounted = 16;
const none: readonly never[] = [];

/**
 * All branches of one request and the choice among their responses (RFC 3261 16.7). Targets come in groups:
 * those of one group ring together, the next group when all of the one before failed (16.6, q values).
 */
export class ResponseContext implements BranchOwner {
  readonly #forwarding: Forwarding;
  readonly #transaction: ServerTransaction;
  /** Until the final response is out. */
  #request: ForwardableRequest | undefined;
  readonly #method: string;
  readonly #sender: HopSide;
  readonly #exchange: MediaExchange | undefined;
  #groups: readonly (readonly Target[])[];
  /** How many of the groups were tried. */
  #tried = 0;
  /** Exactly as long as need be, as `#counted`: V8 gives an array that grows sixteen places more. */
  #branches: readonly ClientBranch[] = none;
  readonly #newTag: () => string;
  readonly #pass: number;
  /** The dialog of a 2xx that was refused: each time that it comes again it is acknowledged again. */
  #refused: DialogEnds | undefined;
  /** Hashes of the tags of the dialogs that were counted as calls: tags would keep the messages they came in. */
  #counted: readonly number[] = none;
  #open = 0;
  #finalSent = false;
  #cancelled = false;

  constructor(
    forwarding: Forwarding,
    transaction: ServerTransaction,
    request: ForwardableRequest,
    groups: readonly (readonly Target[])[],
    newTag: () => string,
    pass: number,
  ) {
    this.#forwarding = forwarding;
    this.#transaction = transaction;
    this.#request = request;
    this.#method = request.message.method;
    this.#sender = request.sender;
    this.#exchange = request.exchange;
    this.#groups = groups;
    this.#newTag = newTag;
    this.#pass = pass;
  }

  start(): void {
    const group = this.#groups[this.#tried++];
    if (!group) {
      this.#sendBest();
      return;
    }
    const first = this.#branches.length;
    const branches = group.map(
      (target, n) => new ClientBranch(this, this.#forwarding, this.#request!, target, String(first + n)),
    );
    this.#branches = first === 0 ? branches : [...this.#branches, ...branches];
    this.#open += group.length;
    for (const branch of branches) branch.start();
  }

  /** The caller gave up (RFC 3261 16.10). */
  cancel(): void {
    this.#cancelled = true;
    this.#groups = none;
    this.#cancelPending();
  }

  branchResponse(branch: ClientBranch, response: Message): void {
    const { status } = response;
    if (status < 200) {
      if (!this.#finalSent) this.#forward(branch, response);
      return;
    }
    if (status < 300) {
      // Every 2xx to an INVITE is forwarded at once, also a second one (16.7 step 5).
      const first = !this.#finalSent;
      if (!first && this.#method !== 'INVITE') return;
      if (first) this.#endDialog(status);
      if (this.#method === 'INVITE') this.#count(response);
      this.#finalSent = true;
      this.#forward(branch, response);
      if (first) {
        this.#request = undefined;
        this.#groups = none;
        this.#cancelPending();
      }
      return;
    }
    this.#branchDone(branch, status);
  }

  branchEnded(branch: ClientBranch, status: number): void {
    this.#branchDone(branch, status);
  }

  /** Each dialog of a fork is a call, and one whose 2xx comes again after its BYE is none. */
  #count({ callId, fromTag, toTag = '' }: Message): void {
    const { calls } = this.#forwarding;
    if (!calls || this.#counted.length >= maxCounted) return;
    const hash = quickHash(toTag);
    if (this.#counted.includes(hash)) return;
    this.#counted = [...this.#counted, hash];
    calls.began(callId, toTag, fromTag);
  }

  #branchDone(branch: ClientBranch, status: number): void {
    this.#open--;
    this.#exchange?.branchFailed(branch.mediaBranch);
    if (this.#finalSent) return;
    if (status >= 600) {
      // 6xx: nobody else shall ring, but the answer waits until the others are done (16.7 step 5).
      this.#groups = none;
      this.#cancelPending();
    }
    if (this.#open === 0 && !this.#finalSent) {
      if (this.#cancelled) this.#sendBest();
      else this.start();
    }
  }

  #cancelPending(): void {
    // A non-INVITE request cannot be cancelled (RFC 3261 9.1).
    if (this.#method !== 'INVITE') return;
    for (const branch of this.#branches) branch.cancel();
  }

  /** RFC 3261 16.7 step 6: 6xx first, else the lowest class, in 4xx those that help the caller to do better. */
  #sendBest(): void {
    if (this.#finalSent) return;
    this.#finalSent = true;
    this.#exchange?.failed();
    let best: ClientBranch | undefined;
    for (const branch of this.#branches) {
      if (!best || rank(branch) < rank(best)) best = branch;
    }
    const final = best?.final;
    const status = statusOf(final) ?? 480;
    this.#endDialog(status);
    this.#request = undefined;
    if (status === 408 && typeof final !== 'object' && this.#method !== 'INVITE') {
      // RFC 4320 4.2: a 408 to a non-INVITE comes too late to be of use and must not be sent.
      this.#transaction.abandon();
      return;
    }
    if (best && typeof final === 'object' && status !== 503) {
      this.#forward(best, final, this.#challenges(best, status));
      return;
    }
    // A 503 speaks of its sender, not of us: it becomes a 500 (16.7 step 6). Our own goes as it is.
    this.#respond(typeof final === 'object' ? 500 : status, best?.refusal?.headers);
  }

  /** The challenges of the other branches, so that the caller can answer all at once (16.7 step 7). */
  #challenges(best: ClientBranch, status: number): string | undefined {
    if ((status !== 401 && status !== 407) || this.#branches.length < 2) return undefined;
    let lines = '';
    for (const branch of this.#branches) {
      const { final } = branch;
      if (branch === best || typeof final !== 'object' || (final.status !== 401 && final.status !== 407))
        continue;
      for (let n = 0; n < final.headerCount; n++) {
        const id = final.idAt(n);
        if (id === PROXY_AUTHENTICATE || id === WWW_AUTHENTICATE)
          lines += final.text.slice(final.lineStart(n), final.lineEnd(n));
      }
    }
    return lines === '' ? undefined : lines;
  }

  #forward(branch: ClientBranch, response: Message, extraHeaders?: string): void {
    const exchange = this.#exchange;
    let body: string | undefined;
    if (exchange && branch.receiver) {
      const { identity } = this.#forwarding;
      const [callee, caller] = [sideNow(identity, branch.receiver), sideNow(identity, this.#sender)];
      try {
        body = exchange.responseBody(response, branch.mediaBranch, callee, caller);
      } catch (error) {
        this.#forwarding.log.warn(
          { err: error, callId: response.callId },
          'media of a response cannot be relayed',
        );
        if (response.status >= 200) {
          this.#refuse(branch, response, exchange, error);
          return;
        }
        // That it rings is worth knowing; what it says of media is of no use to anybody.
        body = '';
      }
      if (response.status >= 200 && response.status < 300) this.#established(branch, response, exchange);
    }
    const text = writeForwardedResponse(response, {
      body,
      recordRoutes: branch.recordRouteRewrites,
      extraHeaders,
    });
    if (text !== undefined) this.#transaction.respond(text, response.status);
    // Without a second Via it was for us alone, though we never send requests of our own by this way. A final one
    // ends the wait of the caller; one more than that, or a provisional one, is of no use to anybody.
    else if (response.status >= 200 && !this.#transaction.completed) this.#respond(502);
  }

  /**
   * The other side agreed to what cannot be relayed: no half call may stand. Whoever asked is told so (RFC 3261
   * 21.4.26), and a dialog that would begin ends before anybody has heard of it.
   */
  #refuse(branch: ClientBranch, response: Message, exchange: MediaExchange, error: unknown): void {
    exchange.failed();
    if (this.#refused) acknowledge(this.#forwarding, this.#refused);
    if (this.#transaction.completed) return;
    if (this.#method === 'INVITE') {
      this.#refused = this.#endsOf(branch, response);
      if (this.#refused) {
        acknowledge(this.#forwarding, this.#refused);
        if (exchange.initial) sayBye(this.#forwarding, this.#refused, 'callee', 'media cannot be relayed');
      }
    }
    const { status, headers } = mediaRefusal(error, false);
    this.#respond(status, headers);
  }

  #established(branch: ClientBranch, response: Message, exchange: MediaExchange): void {
    if (!exchange.wantsEnds || !this.#request) return;
    const ends = this.#endsOf(branch, response);
    if (ends) exchange.keepEnds(ends);
  }

  #endsOf(branch: ClientBranch, response: Message): DialogEnds | undefined {
    if (!this.#request || !branch.receiver) return undefined;
    const seen = {
      callerFlow: this.#request.callerFlow,
      callerSide: this.#sender,
      calleeFlow: branch.calleeFlow,
      calleeSide: branch.receiver,
    };
    const { identity } = this.#forwarding;
    return dialogEnds(this.#request.message, response, seen, (host, port) => identity.isSelf(host, port));
  }

  #endDialog(status: number): void {
    if (this.#method === 'BYE' && this.#request)
      endDialog(this.#forwarding, this.#request.message, status, this.#pass);
  }

  #respond(status: number, headers?: string): void {
    const { request, topVia } = this.#transaction;
    this.#transaction.respond(
      buildResponse(request, status, { topVia, toTag: this.#newTag(), headers }),
      status,
    );
  }
}

function statusOf(final: Message | number | undefined): number | undefined {
  return typeof final === 'object' ? final.status : final;
}

/** Lower is better. */
function rank(branch: ClientBranch): number {
  const status = statusOf(branch.final) ?? 699;
  if (status >= 600) return 0;
  const helpful = status === 401 || status === 407 || status === 415 || status === 420 || status === 484;
  // Within a class a response that somebody gave is better than one that we made up for a silent branch.
  return Math.floor(status / 100) * 10 + (helpful ? 0 : typeof branch.final === 'object' ? 1 : 2);
}
