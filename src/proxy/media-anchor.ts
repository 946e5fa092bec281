import type { Identity } from '../identity/identity.ts';
import type { MediaIdentity, MediaRelay, MediaSession, Party } from '../media/media-contract.ts';
import { unbracket } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import { CONTENT_TYPE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

/** One end of a hop: where a message comes from or goes to, and by which listener. */
export interface HopSide {
  readonly listener: Listener;
  readonly peerAddress: string;
}

/** The media of one call, from its first offer to its BYE. */
interface Call {
  readonly key: string;
  readonly session: MediaSession;
  /** The branch whose answer the call lives on. */
  branch: string;
  settled: boolean;
}

/**
 * The only bridge between SIP and media: puts a relay between the two sides of a call by rewriting the session
 * descriptions that pass. What it writes towards a side is the identity that the SIP message carries there.
 */
export class MediaAnchor {
  readonly #relay: MediaRelay;
  readonly #identity: Identity;
  /** By Call-ID and the caller's tag. */
  readonly #calls = new Map<string, Call>();

  constructor(relay: MediaRelay, identity: Identity) {
    this.#relay = relay;
    this.#identity = identity;
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** The offer/answer exchange that this request takes part in; undefined where it has to do with no media. */
  exchange(request: Message): MediaExchange | undefined {
    const { method } = request;
    if (method !== 'INVITE' && method !== 'UPDATE' && method !== 'PRACK' && method !== 'ACK')
      return undefined;
    const toTag = request.toTag;
    const fromCaller = `${request.callId}\n${request.fromTag ?? ''}`;
    if (toTag === undefined) {
      if (method === 'INVITE' || method === 'UPDATE')
        return new MediaExchange(this, request, fromCaller, 'caller', true);
      return undefined;
    }
    if (this.#calls.has(fromCaller)) return new MediaExchange(this, request, fromCaller, 'caller', false);
    const fromCallee = `${request.callId}\n${toTag}`;
    if (this.#calls.has(fromCallee)) return new MediaExchange(this, request, fromCallee, 'callee', false);
    // A call from before a restart, or one whose media fell silent: a re-INVITE anchors it anew.
    return method === 'INVITE' ? new MediaExchange(this, request, fromCaller, 'caller', false) : undefined;
  }

  /** The dialog of this request is over: its ports come back. */
  end(request: Message): void {
    this.#close(`${request.callId}\n${request.fromTag ?? ''}`);
    if (request.toTag !== undefined) this.#close(`${request.callId}\n${request.toTag}`);
  }

  /** Used by exchanges. */
  find(key: string): Call | undefined {
    return this.#calls.get(key);
  }

  /** Used by exchanges. */
  open(key: string): Call {
    const session = this.#relay.createSession(key.slice(0, key.indexOf('\n')), {
      onSilence: () => this.#close(key),
    });
    const call: Call = { key, session, branch: '', settled: false };
    this.#calls.set(key, call);
    return call;
  }

  /** Used by exchanges. */
  close(key: string): void {
    this.#close(key);
  }

  /** The addresses of the leg that faces a peer: the same choice as in Via and Record-Route. */
  identityOf(side: HopSide): MediaIdentity {
    return {
      boundAddress: side.listener.bound.address,
      advertisedAddress: unbracket(this.#identity.towards(side.listener, side.peerAddress).host),
    };
  }

  #close(key: string): void {
    const call = this.#calls.get(key);
    if (!call) return;
    this.#calls.delete(key);
    call.session.close();
  }
}

/** One request with its responses, as far as they carry offers and answers (RFC 3264, RFC 6337). */
export class MediaExchange {
  readonly #anchor: MediaAnchor;
  readonly #request: Message;
  readonly #key: string;
  /** Who sent the request. */
  readonly #party: Party;
  readonly #initial: boolean;
  readonly #hasOffer: boolean;

  constructor(anchor: MediaAnchor, request: Message, key: string, party: Party, initial: boolean) {
    this.#anchor = anchor;
    this.#request = request;
    this.#key = key;
    this.#party = party;
    this.#initial = initial;
    this.#hasOffer = hasSessionDescription(request);
  }

  /**
   * The body of the request for one branch; undefined where it stays as it is. Throws a MediaError where the
   * call cannot be anchored: nothing was sent yet.
   */
  requestBody(branch: string, sender: HopSide, receiver: HopSide): string | undefined {
    if (!this.#hasOffer) return undefined;
    const call = this.#anchor.find(this.#key) ?? this.#anchor.open(this.#key);
    const kind = this.#request.method === 'ACK' ? 'answer' : 'offer';
    return call.session.rewrite(
      this.#request.body,
      kind,
      this.#party,
      call.settled ? call.branch : branch,
      this.#anchor.identityOf(sender),
      this.#anchor.identityOf(receiver),
    );
  }

  /** The body of a response that came by `branch`; undefined where it stays as it is. Throws a MediaError. */
  responseBody(response: Message, branch: string, sender: HopSide, receiver: HopSide): string | undefined {
    const { status } = response;
    if (status === 100 || status >= 300 || !hasSessionDescription(response)) {
      if (status >= 200 && status < 300) this.#settle(branch);
      return undefined;
    }
    const call = this.#anchor.find(this.#key) ?? this.#anchor.open(this.#key);
    if (call.settled && this.#initial && call.branch !== branch) return undefined;
    const body = call.session.rewrite(
      response.body,
      this.#hasOffer ? 'answer' : 'offer',
      this.#party === 'caller' ? 'callee' : 'caller',
      call.settled ? call.branch : branch,
      this.#anchor.identityOf(sender),
      this.#anchor.identityOf(receiver),
    );
    if (status >= 200) this.#settle(branch);
    return body;
  }

  /** A branch of a fork ended without success. */
  branchFailed(branch: string): void {
    const call = this.#initial ? this.#anchor.find(this.#key) : undefined;
    if (call && !call.settled) call.session.dropBranch(branch);
  }

  /** The request failed as a whole: a call that never came to be gives everything back. */
  failed(): void {
    if (this.#initial && !this.#anchor.find(this.#key)?.settled) this.#anchor.close(this.#key);
  }

  #settle(branch: string): void {
    const call = this.#anchor.find(this.#key);
    if (!call || call.settled || this.#request.method !== 'INVITE') return;
    call.settled = true;
    call.branch = branch;
    call.session.settle(branch);
  }
}

function hasSessionDescription(message: Message): boolean {
  if (message.bodyEnd <= message.bodyStart) return false;
  const type = message.value(CONTENT_TYPE);
  return type !== undefined && (type === 'application/sdp' || /^application\/sdp\s*(;|$)/i.test(type));
}
