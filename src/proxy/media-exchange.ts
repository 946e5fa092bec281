import type { MediaSession, Party } from '../media/media-contract.ts';
import { MediaError } from '../media/media-error.ts';
import { ownText } from '../net/own-text.ts';
import { parseSessionDescription } from '../sdp/parse-session-description.ts';
import { refuseStreams } from '../sdp/refuse-streams.ts';
import { SdpError } from '../sdp/sdp-error.ts';
import type { Message } from '../sip/message/message.ts';
import type { SingleTimer } from '../sip/transaction/timer-queues.ts';
import type { CallParties } from './call-taps.ts';
import type { DialogEnds } from './dialog-ends.ts';
import type { HopSide } from './hop-side.ts';
import type { MediaAnchor } from './media-anchor.ts';
import { replaceDescriptions, type SessionBody, sessionBodyOf } from './session-body.ts';
import type { SmallMap } from './small-map.ts';

/** The media of one call, from its first offer to its BYE. */
export interface AnchoredCall {
  readonly session: MediaSession;
  /** What opened it: it gives the call up where it fails. Gone once the call stands: it has the whole message. */
  opener: MediaExchange | undefined;
  /** The branch of each dialog, by the callee's tag. */
  readonly branches: SmallMap<string>;
  /** Branches with an offer that waits for its answer, and who made it. */
  readonly offers: SmallMap<Party>;
  /** Undefined where nobody records. */
  readonly parties: CallParties | undefined;
  /** By branch: whether its media goes past us. */
  readonly direct: SmallMap<boolean>;
  /** The dialog that the call lives on, from its 2xx. */
  winner: { readonly branch: string; readonly tag: string } | undefined;
  /** What a BYE of ours needs; kept only where silence asks for one. */
  ends: DialogEnds | undefined;
  /** From a BYE to its answer: without one the call is over all the same. */
  ending: SingleTimer | undefined;
}

/** A downstream fork may make many early dialogs of one branch; more than this are not told apart. */
const maxDialogs = 64;

/** What goes on unrelayed where the policy lets pass what cannot be read: the description, and the answer to it. */
const passable: ReadonlySet<string> = new Set(['media.sdp-unusable', 'media.answer-without-offer']);

/** One request with its responses, as far as they carry offers and answers (RFC 3264, RFC 6337). */
export class MediaExchange {
  /** True for the INVITE that begins a call. */
  readonly initial: boolean;
  /** Which of the times that the dialog passes us, from 0. */
  readonly pass: number;
  readonly #anchor: MediaAnchor;
  readonly request: Message;
  readonly #key: string;
  /** Who sent the request. */
  readonly #party: Party;
  /** The callee's tag; undefined while there is no dialog. */
  readonly #calleeTag: string | undefined;
  readonly #body: SessionBody | undefined;
  /** By branch: early answers by tag, and whose was the last one. */
  readonly #early = new Map<string, { last: string; answers: Map<string, () => unknown> }>();
  /** The branch that an offer of this request went to, inside a dialog. */
  #offeredTo: string | undefined;

  constructor(
    anchor: MediaAnchor,
    request: Message,
    key: string,
    pass: number,
    party: Party,
    calleeTag: string | undefined,
  ) {
    this.#anchor = anchor;
    this.request = request;
    this.#key = key;
    this.pass = pass;
    this.#party = party;
    this.#calleeTag = calleeTag;
    this.initial = calleeTag === undefined;
    this.#body = sessionBodyOf(request);
  }

  /**
   * The body of the request for one branch; undefined where it stays as it is. Throws a MediaError where the
   * call cannot be anchored: nothing was sent yet.
   */
  requestBody(transactionBranch: string, sender: HopSide, receiver: HopSide): string | undefined {
    const description = this.#body;
    if (!description) return undefined;
    if (!describesSession(description)) return this.#aside(this.request, description, sender, receiver);
    const call = this.#anchor.find(this.#key) ?? this.#anchor.open(this.#key, this);
    const branch = this.initial ? transactionBranch : this.#branchOf(call, transactionBranch);
    if (branch === undefined) return this.#refused(this.request, description, receiver);
    const answers =
      this.request.method === 'ACK' ||
      // RFC 3262 5: the offer came in a reliable provisional response.
      (this.request.method === 'PRACK' && call.offers.get(branch) === other(this.#party));
    if (!answers && !this.initial) this.#offeredTo = branch;
    return this.#rewrite(
      call,
      this.request,
      description,
      answers ? 'answer' : 'offer',
      this.#party,
      branch,
      sender,
      receiver,
    );
  }

  /** The body of a response that came by `branch`; undefined where it stays as it is. Throws a MediaError. */
  responseBody(
    response: Message,
    transactionBranch: string,
    sender: HopSide,
    receiver: HopSide,
  ): string | undefined {
    const { status } = response;
    if (status === 100) return undefined;
    const described = sessionBodyOf(response);
    // RFC 3261 21.4.26: what a 488 describes is not media to send to, and its addresses are nobody's business.
    if (status >= 300) return described && this.#refused(response, described, receiver);
    const description = describesSession(described) ? described : undefined;
    const tag = this.#calleeTag ?? response.toTag ?? '';
    let call = this.#anchor.find(this.#key);
    if (!call && description) call = this.#anchor.open(this.#key, this);
    if (!call) {
      if (status >= 200) this.#anchor.forget(this.#key, this);
      return described && this.#aside(response, described, sender, receiver);
    }
    if (this.initial && call.branches.size < maxDialogs) call.branches.set(ownText(tag), transactionBranch);
    const branch =
      this.initial && !call.winner ? transactionBranch : this.#branchOf(call, transactionBranch, tag);
    let body: string | undefined;
    if (description && branch === undefined) body = this.#refused(response, description, receiver);
    else if (description && branch !== undefined) {
      const kind = describesSession(this.#body) ? 'answer' : 'offer';
      const anchored = call;
      const answer = (): string | undefined =>
        this.#rewrite(anchored, response, description, kind, other(this.#party), branch, sender, receiver);
      body = answer();
      if (status < 200 && kind === 'answer' && this.initial) this.#answeredEarly(branch, tag, answer);
    } else if (status >= 200 && branch !== undefined && this.#early.get(branch)?.last !== tag) {
      // Forks beyond us share the branch, and another one answered last: its media is not that of the one that won.
      this.#early.get(branch)?.answers.get(tag)?.();
    }
    if (status >= 200) this.#early.clear();
    if (status >= 200 && branch !== undefined) this.#settle(call, branch, tag);
    return described && !description ? this.#aside(response, described, sender, receiver) : body;
  }

  /** What an early answer said is kept until the call is answered: the 2xx need not say it again (RFC 6337 2.2). */
  #answeredEarly(branch: string, tag: string, answer: () => unknown): void {
    let early = this.#early.get(branch);
    if (!early) this.#early.set(branch, (early = { last: tag, answers: new Map() }));
    early.last = tag;
    if (early.answers.size < maxDialogs) early.answers.set(tag, answer);
  }

  /** A branch of a fork ended without success. */
  branchFailed(branch: string): void {
    const call = this.initial ? this.#anchor.find(this.#key) : undefined;
    if (call && !call.winner) call.session.dropBranch(branch);
  }

  /** The request failed as a whole: a call that never came to be gives everything back, one that runs stays as it was. */
  failed(): void {
    this.#anchor.forget(this.#key, this);
    const call = this.#anchor.find(this.#key);
    if (!call) return;
    if (call.opener === this && !call.winner) this.#anchor.close(this.#key);
    else if (this.#offeredTo !== undefined) {
      call.offers.delete(this.#offeredTo);
      call.session.rollBack(this.#offeredTo, this.#party);
    }
  }

  /** True where the dialog that this INVITE begins has to be remembered. */
  get wantsEnds(): boolean {
    return this.initial && this.#anchor.policy.silence === 'bye';
  }

  keepEnds(ends: DialogEnds): void {
    const call = this.#anchor.find(this.#key);
    if (call) call.ends ??= ends;
  }

  /** The branch of this request's dialog; undefined for one that has lost: its media leads nowhere. */
  #branchOf(
    call: AnchoredCall,
    transactionBranch: string,
    tag: string | undefined = this.#calleeTag,
  ): string | undefined {
    if (call.winner) return call.winner.tag === tag ? call.winner.branch : undefined;
    // Opened inside a dialog, after a restart: there is nothing to tell apart.
    if (!call.opener?.initial) return transactionBranch;
    const branch = call.branches.get(tag ?? '');
    if (branch !== undefined) return branch;
    throw new MediaError(
      'media.branch-gone',
      `A ${this.request.method} came for a dialog of ${this.request.callId} that no response began: its media has no branch.`,
    );
  }

  #rewrite(
    call: AnchoredCall,
    message: Message,
    where: SessionBody,
    kind: 'offer' | 'answer',
    from: Party,
    branch: string,
    sender: HopSide,
    receiver: HopSide,
  ): string | undefined {
    const { body } = message;
    if (this.#goesDirect(call, kind, branch, sender, receiver)) {
      if (kind === 'offer') call.offers.set(branch, from);
      else call.offers.delete(branch);
      return undefined;
    }
    const passes = this.#anchor.policy.unreadable === 'pass';
    const preferred = where.session.at(-1);
    try {
      // What can be read is relayed, even where more passes as it is.
      if (!preferred || (where.problem !== undefined && !passes))
        throw new MediaError('media.sdp-unusable', where.problem ?? 'No session is described.');
      const written = call.session.rewrite(
        body.slice(preferred.start, preferred.end),
        kind,
        from,
        branch,
        this.#anchor.identityOf(sender),
        this.#anchor.identityOf(receiver),
      );
      if (kind === 'offer') call.offers.set(branch, from);
      else call.offers.delete(branch);
      if (where.problem !== undefined) this.#anchor.unrelayed(message.callId, where.problem);
      // Whichever of several alternatives is read: it leads to us.
      return replaceDescriptions(body, where, (part) =>
        where.aside.includes(part) ? this.#switchedOff(body.slice(part.start, part.end), receiver) : written,
      );
    } catch (error) {
      if (!passes || !(error instanceof MediaError) || !passable.has(error.code)) throw error;
      this.#anchor.unrelayed(message.callId, error.message);
      return undefined;
    }
  }

  /** Decided where the first description of a branch passes, when both sides are known; what follows keeps to it. */
  #goesDirect(
    call: AnchoredCall,
    kind: 'offer' | 'answer',
    branch: string,
    sender: HopSide,
    receiver: HopSide,
  ): boolean {
    const known = call.direct.get(branch);
    // A branch that is tried at its next address is another one.
    const begins = this.initial && kind === 'offer' && !call.winner;
    if (known !== undefined && !begins) return known;
    const direct = this.#anchor.goesDirect(this.request, sender, receiver);
    call.direct.set(branch, direct);
    return direct;
  }

  #settle(call: AnchoredCall, branch: string, tag: string): void {
    const { method } = this.request;
    // An UPDATE before the 2xx of the INVITE decides nothing (RFC 3311).
    if (method !== 'INVITE' && call.opener !== this) return;
    call.winner ??= { branch: ownText(branch), tag: ownText(tag) };
    call.opener = undefined;
    call.session.settle(call.winner.branch);
    if (call.direct.get(call.winner.branch) !== true) return;
    // What rang through us and lost gives its ports back.
    for (const [lost, direct] of call.direct) if (!direct) call.session.dropBranch(lost);
  }

  /** Descriptions that have to be passed on, while this call has no media for them. */
  #refused(message: Message, where: SessionBody, receiver: HopSide): string {
    const { body } = message;
    // What cannot be read cannot be switched off: it goes no further.
    if (where.problem !== undefined) return '';
    return replaceDescriptions(body, where, ({ start, end }) =>
      this.#switchedOff(body.slice(start, end), receiver),
    );
  }

  /** No session of this call: what it describes is none that we relay, and leads nowhere. */
  #aside(message: Message, where: SessionBody, sender: HopSide, receiver: HopSide): string | undefined {
    const direct = this.#anchor.goesDirect(this.request, sender, receiver);
    return direct ? undefined : this.#refused(message, where, receiver);
  }

  #switchedOff(description: string, receiver: HopSide): string {
    try {
      const { advertisedAddress } = this.#anchor.identityOf(receiver);
      return refuseStreams(parseSessionDescription(description), advertisedAddress);
    } catch (error) {
      if (error instanceof SdpError) return '';
      throw error;
    }
  }
}

/** True where there is an offer or an answer, or may be one. */
function describesSession(body: SessionBody | undefined): boolean {
  return body !== undefined && (body.session.length > 0 || body.problem !== undefined);
}

function other(party: Party): Party {
  return party === 'caller' ? 'callee' : 'caller';
}
