import type { Identity } from '../identity/identity.ts';
import type { MediaIdentity, MediaRelay } from '../media/media-contract.ts';
import { unbracket } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import type { Message } from '../sip/message/message.ts';
import { type AnchoredCall, MediaExchange } from './media-exchange.ts';

/** One end of a hop: where a message comes from or goes to, and by which listener. */
export interface HopSide {
  readonly listener: Listener;
  readonly peerAddress: string;
}

/**
 * The only bridge between SIP and media: puts a relay between the two sides of a call by rewriting the session
 * descriptions that pass. What it writes towards a side is the identity that the SIP message carries there.
 */
export class MediaAnchor {
  readonly #relay: MediaRelay;
  readonly #identity: Identity;
  /** By Call-ID and the caller's tag. */
  readonly #calls = new Map<string, AnchoredCall>();

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
      return method === 'INVITE'
        ? new MediaExchange(this, request, fromCaller, 'caller', undefined)
        : undefined;
    }
    if (this.#calls.has(fromCaller)) return new MediaExchange(this, request, fromCaller, 'caller', toTag);
    const fromCallee = `${request.callId}\n${toTag}`;
    if (this.#calls.has(fromCallee)) {
      return new MediaExchange(this, request, fromCallee, 'callee', request.fromTag ?? '');
    }
    // A call from before a restart, or one whose media fell silent: the next offer anchors it anew, and whoever
    // makes it counts as the caller.
    return method === 'INVITE' || method === 'UPDATE'
      ? new MediaExchange(this, request, fromCaller, 'caller', toTag)
      : undefined;
  }

  /** The dialog of this request is over: its ports come back. A BYE to another branch of a fork ends only that. */
  end(request: Message): void {
    const fromTag = request.fromTag ?? '';
    const toTag = request.toTag ?? '';
    this.#endDialog(`${request.callId}\n${fromTag}`, toTag);
    this.#endDialog(`${request.callId}\n${toTag}`, fromTag);
  }

  /** Used by exchanges. */
  find(key: string): AnchoredCall | undefined {
    return this.#calls.get(key);
  }

  /** Used by exchanges. */
  open(key: string, opener: MediaExchange): AnchoredCall {
    const session = this.#relay.createSession(key.slice(0, key.indexOf('\n')), {
      onSilence: () => this.close(key),
    });
    const call: AnchoredCall = { session, opener, branches: new Map(), offers: new Map(), winner: undefined };
    this.#calls.set(key, call);
    return call;
  }

  /** Used by exchanges. */
  close(key: string): void {
    const call = this.#calls.get(key);
    if (!call) return;
    this.#calls.delete(key);
    call.session.close();
  }

  /** The addresses of the leg that faces a peer: the same choice as in Via and Record-Route. */
  identityOf(side: HopSide): MediaIdentity {
    return {
      boundAddress: side.listener.bound.address,
      advertisedAddress: unbracket(this.#identity.towards(side.listener, side.peerAddress).host),
    };
  }

  #endDialog(key: string, calleeTag: string): void {
    const call = this.#calls.get(key);
    if (!call) return;
    // While the first INVITE is under way its own final response says what becomes of the call: a BYE can end
    // one early dialog of several (RFC 3261 15).
    if (call.winner ? call.winner.tag === calleeTag : !call.opener.initial) this.close(key);
  }
}
