import type { Identity } from '../identity/identity.ts';
import type { DtmfDigit } from '../media/dtmf/dtmf-digit.ts';
import type { MediaRelay, MediaSession, MediaTap } from '../media/media-contract.ts';
import { type Endpoint, familyOf, unbracket } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import { ownText } from '../net/own-text.ts';
import { X_CLOUDSIP_RECORD } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

export interface TapPolicy {
  /** `off`; `ask`: who has proved who he is may ask; `all`; or these accounts, on either side. */
  readonly record: 'off' | 'ask' | 'all' | readonly string[];
  readonly dtmf: 'off' | 'events' | 'inband';
}

/** A key that was pressed in a call. */
export interface CallDigit extends DtmfDigit {
  readonly callId: string;
}

/** What a new call is, as far as it matters for who is recorded. */
export interface NewCall {
  readonly request: Message;
  readonly source: Endpoint;
  readonly listener: Listener;
  /** Who has proved to be the caller. */
  readonly account: string | undefined;
  /** The account that is called. */
  readonly callee: string | undefined;
}

/** Between whom a call is. */
export interface CallParties {
  /** The caller's: somebody else may send the same Call-ID. */
  readonly fromTag: string;
  readonly from: string;
  readonly to: string;
}

/** Kept for as long as the call is: no part of the message, which would stay with it. */
export function partiesOf(request: Message): CallParties {
  return {
    fromTag: ownText(request.fromTag ?? ''),
    from: ownText(request.from?.uri ?? ''),
    to: ownText(request.to?.uri ?? ''),
  };
}

interface Tapped extends CallParties {
  readonly tap: MediaTap;
  session: MediaSession | undefined;
  /** Somebody wants it recorded; the disk may see that differently. */
  recorded: boolean;
  digits: number;
}

/** Calls that somebody may record or listen to at once; more are served without, and `onFull` hears of each. */
const maxTapped = 10_000;
/** Keys of one call that are told of: a machine that presses more fills no log. */
const maxDigits = 1000;
/** Of what anybody sends: no part of it may match the same bytes as its neighbour. */
const callIdLine = /\r\n(?:call-id|i)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)\r\n/i;

/** Which calls are recorded or listened to, and what they are told of the SIP that passes. By Call-ID. */
export class CallTaps {
  readonly #relay: MediaRelay;
  readonly #identity: Identity;
  readonly #policy: TapPolicy;
  readonly #onDigit: (digit: CallDigit) => void;
  readonly #onFull: (callId: string) => void;
  readonly #tapped = new Map<string, Tapped>();
  /** Of those, how many are recorded: only they care for SIP. */
  #recorded = 0;

  constructor(
    relay: MediaRelay,
    identity: Identity,
    policy: TapPolicy,
    onDigit: (digit: CallDigit) => void,
    onFull: (callId: string) => void = () => {},
  ) {
    this.#relay = relay;
    this.#identity = identity;
    this.#policy = policy;
    this.#onDigit = onDigit;
    this.#onFull = onFull;
  }

  /** False while no call is recorded: then no message need be shown to `saw`. */
  get active(): boolean {
    return this.#recorded > 0;
  }

  has(callId: string): boolean {
    return this.#tapped.has(callId);
  }

  /** An INVITE begins a call: recorded or not, from its first message. */
  consider(call: NewCall): void {
    const reason = this.#reasonFor(call);
    if (reason === undefined || this.#tapped.has(call.request.callId)) return;
    const { request, source, listener } = call;
    const tapped = this.#open(request.callId, partiesOf(request));
    if (!tapped) return;
    this.#record(request.callId, tapped, reason);
    tapped.tap.message(source, this.#ours(listener, source.address), request.text);
  }

  /** The media of a call begins. The first pass of a dialog counts: a further one carries the same again. */
  attach(callId: string, parties: CallParties, session: MediaSession): void {
    let tapped = this.#tapped.get(callId);
    if (!tapped && this.#policy.dtmf !== 'off') tapped = this.#open(callId, parties);
    if (!tapped || tapped.session || tapped.fromTag !== parties.fromTag) return;
    tapped.session = session;
    session.attach(tapped.tap);
    if (this.#policy.dtmf !== 'off') tapped.tap.watchDigits(this.#policy.dtmf);
  }

  /** Media of the call ended, or its INVITE came to nothing. */
  end(callId: string, fromTag: string, session: MediaSession | undefined): void {
    const tapped = this.#tapped.get(callId);
    if (!tapped || tapped.fromTag !== fromTag || tapped.session !== session) return;
    this.#tapped.delete(callId);
    if (tapped.recorded) this.#recorded--;
    void tapped.tap.end();
  }

  /** A key that SIP told of (INFO). */
  pressed(callId: string, digit: DtmfDigit): void {
    if (this.#policy.dtmf !== 'off') this.#pressed(callId, digit);
  }

  /** A message that came or that goes. */
  saw(text: string, listener: Listener, peer: Endpoint, comes: boolean): void {
    const callId = callIdLine.exec(text)?.[1]?.trim();
    const tapped = callId === undefined ? undefined : this.#tapped.get(callId);
    if (!tapped?.tap.recording) return;
    const ours = this.#ours(listener, peer.address);
    if (comes) tapped.tap.message(peer, ours, text);
    else tapped.tap.message(ours, peer, text);
  }

  /** By whoever runs the agent. False where no such call has media here. */
  recordNow(callId: string, parties: CallParties, session: MediaSession, wanted: boolean): boolean {
    let tapped = this.#tapped.get(callId);
    if (!wanted) {
      if (!tapped?.recorded) return true;
      tapped.recorded = false;
      this.#recorded--;
      tapped.tap.stopRecording();
      return true;
    }
    tapped ??= this.#open(callId, parties);
    if (!tapped) return false;
    if (!tapped.session) {
      tapped.session = session;
      session.attach(tapped.tap);
    }
    // One that the disk ended begins anew.
    if (!tapped.tap.recording) this.#record(callId, tapped, 'command');
    return tapped.tap.recording;
  }

  #open(callId: string, parties: CallParties): Tapped | undefined {
    if (this.#tapped.size >= maxTapped) {
      this.#onFull(callId);
      return undefined;
    }
    const tap = this.#relay.openTap(callId, (digit) => this.#pressed(callId, digit));
    const tapped: Tapped = {
      ...parties,
      tap,
      session: undefined,
      recorded: false,
      digits: 0,
    };
    this.#tapped.set(callId, tapped);
    return tapped;
  }

  #record(callId: string, tapped: Tapped, reason: string): void {
    const { tap, from, to } = tapped;
    tap.record({ callId, from, to, reason });
    if (!tapped.recorded) this.#recorded++;
    tapped.recorded = true;
  }

  #pressed(callId: string, digit: DtmfDigit): void {
    const tapped = this.#tapped.get(callId);
    if (!tapped || ++tapped.digits > maxDigits) return;
    tapped.session?.noteDigit(digit);
    this.#onDigit({ callId, ...digit });
  }

  #reasonFor({ request, account, callee }: NewCall): string | undefined {
    const { record } = this.#policy;
    if (record === 'off') return undefined;
    if (record === 'all') return 'all';
    if (record !== 'ask') {
      for (const name of [account, callee]) {
        if (name !== undefined && record.includes(name)) return `account ${name}`;
      }
    }
    const asked = /^(?:on|yes|true|1)$/i.test(request.value(X_CLOUDSIP_RECORD)?.trim() ?? '');
    return asked && account !== undefined ? `asked by ${account}` : undefined;
  }

  /** Our end as the peer knows it: so does the capture show it, as its SDP does. */
  #ours(listener: Listener, peerAddress: string): Endpoint {
    const { host, port } = this.#identity.towards(listener, peerAddress);
    const address = unbracket(host);
    return familyOf(address) ? { address, port } : listener.bound;
  }
}
