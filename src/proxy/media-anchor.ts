import type { Identity } from '../identity/identity.ts';
import type { MediaIdentity, MediaRelay } from '../media/media-contract.ts';
import { familyOf, normalizeHost, unbracket } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { Message } from '../sip/message/message.ts';
import { SingleTimer } from '../sip/transaction/timer-queues.ts';
import type { CallsInProgress } from './call-count.ts';
import { type CallTaps, partiesOf } from './call-taps.ts';
import { type DialogEndName, noteRequest, sayBye } from './dialog-ends.ts';
import { digitOfInfo } from './dtmf-info.ts';
import { byeMs } from './end-dialog.ts';
import type { Forwarding } from './forwarding.ts';
import type { HopSide } from './hop-side.ts';
import { type AnchoredCall, MediaExchange } from './media-exchange.ts';
import { SmallMap } from './small-map.ts';

export interface MediaPolicy {
  /** What becomes of a message whose session description cannot be understood. */
  readonly unreadable: 'refuse' | 'pass';
  /** What becomes of a call whose media fell silent: both sides get a BYE, or only the ports come back. */
  readonly silence: 'bye' | 'report';
  /** Through us; between the sides; or between them where both are in the same local network or behind the same NAT. */
  readonly path: 'relay' | 'direct' | 'local-direct';
}

export const defaultMediaPolicy: MediaPolicy = { unreadable: 'refuse', silence: 'report', path: 'relay' };

/** How often one dialog may pass us: by a proxy behind us that sends it back, or one before us that forks. */
const maxPasses = 16;

/**
 * The only bridge between SIP and media: puts a relay between the two sides of a call by rewriting the session
 * descriptions that pass. What it writes towards a side is the identity that the SIP message carries there.
 *
 * A dialog may pass several times, with one Call-ID and one tag of the caller: each pass has media of its own,
 * and its Record-Route says which one it is.
 */
export class MediaAnchor implements CallsInProgress {
  readonly policy: MediaPolicy;
  /** Undefined where nobody records or listens. */
  readonly taps: CallTaps | undefined;
  /** Told of what passes unrelayed, where the policy lets it: the call, and why. */
  readonly unrelayed: (callId: string, reason: string) => void;
  readonly #relay: MediaRelay;
  readonly #identity: Identity;
  /** By Call-ID, the caller's tag and the pass. */
  readonly #calls = new Map<string, AnchoredCall>();
  /** INVITEs under way that have opened no call yet, by the same key. */
  readonly #invites = new Map<string, MediaExchange>();
  #forwarding: Forwarding | undefined;

  constructor(
    relay: MediaRelay,
    identity: Identity,
    policy: MediaPolicy = defaultMediaPolicy,
    taps?: CallTaps,
    unrelayed: (callId: string, reason: string) => void = () => {},
  ) {
    this.#relay = relay;
    this.#identity = identity;
    this.policy = policy;
    this.taps = taps;
    this.unrelayed = unrelayed;
  }

  /** Whose transactions carry a BYE of ours; to be set before the first message. */
  attach(forwarding: Forwarding): void {
    this.#forwarding = forwarding;
  }

  get calls(): number {
    return this.#calls.size;
  }

  keys(): Iterable<string> {
    return this.#calls.keys();
  }

  has(key: string): boolean {
    return this.#calls.has(key);
  }

  /** INVITEs under way without media so far. */
  get invites(): number {
    return this.#invites.size;
  }

  /**
   * The offer/answer exchange that this request takes part in; undefined where it has to do with no media.
   * `pass` is what our Record-Route in it says, where it belongs to a dialog.
   */
  exchange(request: Message, pass = 0): MediaExchange | undefined {
    const { method } = request;
    if (method !== 'INVITE' && method !== 'UPDATE' && method !== 'PRACK' && method !== 'ACK')
      return undefined;
    const toTag = request.toTag;
    const fromTag = request.fromTag ?? '';
    if (toTag === undefined) return method === 'INVITE' ? this.#begin(request, fromTag) : undefined;
    const fromCaller = keyOf(request, fromTag, pass);
    if (this.#calls.has(fromCaller))
      return new MediaExchange(this, request, fromCaller, pass, 'caller', toTag);
    const fromCallee = keyOf(request, toTag, pass);
    if (this.#calls.has(fromCallee)) {
      return new MediaExchange(this, request, fromCallee, pass, 'callee', fromTag);
    }
    // A call from before a restart, or one whose media fell silent: the next offer anchors it anew, and whoever
    // makes it counts as the caller.
    return method === 'INVITE' || method === 'UPDATE'
      ? new MediaExchange(this, request, fromCaller, pass, 'caller', toTag)
      : undefined;
  }

  /** A request inside a dialog passes: what a BYE of ours would have to know of it. */
  note(request: Message, pass: number): void {
    if (request.method === 'INFO') this.#noteDigit(request, pass);
    if (this.policy.silence !== 'bye') return;
    const ends = (key: string): AnchoredCall['ends'] => this.#calls.get(key)?.ends;
    const byCaller = ends(keyOf(request, request.fromTag ?? '', pass));
    const byCallee = byCaller ? undefined : ends(keyOf(request, request.toTag ?? '', pass));
    if (byCaller) noteRequest(byCaller, 'caller', request);
    else if (byCallee) noteRequest(byCallee, 'callee', request);
  }

  #noteDigit(request: Message, pass: number): void {
    const digit = digitOfInfo(request);
    // A dialog that passes twice tells of one key.
    if (!digit || pass !== 0) return;
    const byCaller = this.#calls.has(keyOf(request, request.fromTag ?? '', pass));
    this.taps?.pressed(request.callId, { party: byCaller ? 'caller' : 'callee', ...digit, by: 'info' });
  }

  /** A BYE passes that nobody waits for: its dialog is over with the answer to it, or in time without one. */
  ending(request: Message, pass = 0): void {
    const fromTag = request.fromTag ?? '';
    const toTag = request.toTag ?? '';
    this.#expectEnd(keyOf(request, fromTag, pass), toTag);
    this.#expectEnd(keyOf(request, toTag, pass), fromTag);
  }

  /** The BYE was refused. */
  goesOn(message: Message, pass = 0): void {
    for (const tag of [message.fromTag ?? '', message.toTag ?? '']) {
      const call = this.#calls.get(keyOf(message, tag, pass));
      if (call) this.#stopEnding(call);
    }
  }

  /** The dialog of this request is over: its ports come back. A BYE to another branch of a fork ends only that. */
  end(request: Message, pass = 0): void {
    const fromTag = request.fromTag ?? '';
    const toTag = request.toTag ?? '';
    this.#endDialog(keyOf(request, fromTag, pass), toTag);
    this.#endDialog(keyOf(request, toTag, pass), fromTag);
  }

  /** Used by exchanges. */
  find(key: string): AnchoredCall | undefined {
    return this.#calls.get(key);
  }

  /** Used by exchanges. */
  open(key: string, opener: MediaExchange): AnchoredCall {
    const session = this.#relay.createSession(callIdOf(key), {
      onSilence: () => this.#silent(key),
    });
    // Who they are is only for those who record.
    const parties = this.taps && partiesOf(opener.request);
    const call: AnchoredCall = {
      session,
      opener,
      branches: new SmallMap(),
      offers: new SmallMap(),
      parties,
      direct: new SmallMap(),
      winner: undefined,
      ends: undefined,
      ending: undefined,
    };
    this.#calls.set(key, call);
    this.#invites.delete(key);
    if (parties) this.taps?.attach(callIdOf(key), parties, session);
    return call;
  }

  /** Used by exchanges: an INVITE is over, and whatever media it has stands by itself. */
  forget(key: string, exchange: MediaExchange): void {
    if (this.#invites.get(key) === exchange) this.#invites.delete(key);
    if (!this.#calls.has(key)) this.taps?.end(callIdOf(key), callerTagOf(key), undefined);
  }

  /** Used by exchanges. */
  close(key: string): void {
    const call = this.#calls.get(key);
    if (!call) return;
    this.#calls.delete(key);
    this.#stopEnding(call);
    call.session.close();
    this.taps?.end(callIdOf(key), callerTagOf(key), call.session);
  }

  /** Used by exchanges: whether the media of these two goes past us. What is recorded does not. */
  goesDirect(request: Message, sender: HopSide, receiver: HopSide): boolean {
    const { path } = this.policy;
    if (path === 'relay' || this.taps?.has(request.callId)) return false;
    if (path === 'direct') return true;
    const [one, other] = [normalizeHost(sender.peerAddress), normalizeHost(receiver.peerAddress)];
    if (one === other) return true;
    // What is on this machine is in no network that others reach.
    const isNear = (address: string): boolean =>
      this.#identity.isLocal(address) && scopeOf(address) !== 'loopback';
    return familyOf(one) === familyOf(other) && isNear(one) && isNear(other);
  }

  /** Begins or ends the recording of a call, by its Call-ID. False where there is no such call with media here. */
  record(callId: string, wanted: boolean): boolean {
    const { taps } = this;
    if (!taps) return false;
    for (const [key, { parties, session, direct }] of this.#calls) {
      // What does not pass here cannot be recorded any more.
      if (!parties || callIdOf(key) !== callId || [...direct].some(([, goesDirect]) => goesDirect)) continue;
      return taps.recordNow(callId, parties, session, wanted);
    }
    return false;
  }

  /** The addresses of the leg that faces a peer: the same choice as in Via and Record-Route. */
  identityOf(side: HopSide): MediaIdentity {
    return {
      boundAddress: side.listener.bound.address,
      advertisedAddress: unbracket(this.#identity.towards(side.listener, side.peerAddress).host),
      peerAddress: side.peerAddress,
    };
  }

  /** The first pass that nobody else has. With none left the last one is shared: so many make no real call. */
  #begin(request: Message, fromTag: string): MediaExchange {
    let pass = 0;
    let key = keyOf(request, fromTag, pass);
    while ((this.#calls.has(key) || this.#invites.has(key)) && pass < maxPasses - 1) {
      key = keyOf(request, fromTag, ++pass);
    }
    const exchange = new MediaExchange(this, request, key, pass, 'caller', undefined);
    if (!this.#invites.has(key)) this.#invites.set(key, exchange);
    return exchange;
  }

  #silent(key: string): void {
    const ends = this.policy.silence === 'bye' ? this.#calls.get(key)?.ends : undefined;
    // Both sides believe in the call still: each is told by a BYE as if from the other.
    if (ends && this.#forwarding) {
      const parties: readonly DialogEndName[] = ['caller', 'callee'];
      for (const party of parties) sayBye(this.#forwarding, ends, party, 'no media');
    }
    this.close(key);
  }

  #expectEnd(key: string, calleeTag: string): void {
    const call = this.#calls.get(key);
    if (!call || !livesOn(call, calleeTag) || call.ending || !this.#forwarding) return;
    call.ending = new SingleTimer({
      timerFired: () => {
        call.ending = undefined;
        this.#endDialog(key, calleeTag);
      },
    });
    this.#forwarding.layer.queues.start(call.ending, byeMs);
  }

  #stopEnding(call: AnchoredCall): void {
    if (call.ending) this.#forwarding?.layer.queues.stop(call.ending);
    call.ending = undefined;
  }

  #endDialog(key: string, calleeTag: string): void {
    const call = this.#calls.get(key);
    if (call && livesOn(call, calleeTag)) this.close(key);
  }
}

/**
 * Whether the call ends with this dialog. While the first INVITE is under way its own final response says what
 * becomes of the call: a BYE can end one early dialog of several (RFC 3261 15).
 */
function livesOn({ winner, opener }: AnchoredCall, calleeTag: string): boolean {
  return winner ? winner.tag === calleeTag : !opener?.initial;
}

function keyOf(request: Message, callerTag: string, pass: number): string {
  return pass === 0 ? `${request.callId}\n${callerTag}` : `${request.callId}\n${callerTag}\n${pass}`;
}

function callerTagOf(key: string): string {
  return key.split('\n', 2)[1]!;
}

function callIdOf(key: string): string {
  return key.slice(0, key.indexOf('\n'));
}
