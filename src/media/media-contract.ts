import type { Endpoint } from '../net/address.ts';
import type { DtmfDigit } from './dtmf/dtmf-digit.ts';
import type { PortRange } from './port-pool.ts';
import type { SilenceLimits } from './silence-watch.ts';
import type { StreamQuality } from './stream-quality.ts';
import type { RecordedCall } from './tap/tap-protocol.ts';

/** Where a leg binds and what it writes into SDP: two things behind a 1-to-1 NAT. */
export interface MediaIdentity {
  readonly boundAddress: string;
  readonly advertisedAddress: string;
  /** Where the SIP of the side that it faces comes from, or goes to. */
  readonly peerAddress?: string | undefined;
}

export type Party = 'caller' | 'callee';

/** What moves packets: the kernel where it can and system calls, system calls alone, or node:dgram. */
export type ForwarderKind = 'kernel' | 'kernel-xdp' | 'koffi' | 'dgram';

/** Totals since the start, but for the first three, which are of the moment. */
export interface MediaStats {
  readonly sessions: number;
  readonly legs: number;
  /** UDP ports that are bound, those about to be closed included. */
  readonly portsInUse: number;
  readonly packets: number;
  readonly bytes: number;
  /** Packets from a source that is not the peer. */
  readonly droppedStrangers: number;
  /** Packets that were empty, had nowhere to go yet, or were refused by the kernel. */
  readonly droppedUndeliverable: number;
  readonly forwarder: ForwarderKind;
  /** Of `packets`, those that no process saw: the kernel forwarded them. */
  readonly kernelPackets: number;
  /** How often the media thread died and was started again. */
  readonly restarts: number;
}

/** One stream of one side of a call, for people to look at. */
export interface StreamSnapshot {
  readonly party: Party;
  readonly branch: string;
  /** Position of the `m=` line, from 0. */
  readonly index: number;
  /** The relay's own RTP port. */
  readonly bound: Endpoint;
  /** What the side's SDP says. */
  readonly described: Endpoint | undefined;
  /** Where its packets come from and go to. */
  readonly learnedEndpoint: Endpoint | undefined;
  /** RTP and RTCP packets taken from this side. */
  readonly packets: number;
  readonly bytes: number;
  /** Of `packets`, those that the kernel forwarded. */
  readonly kernelPackets: number;
  readonly droppedStrangers: number;
  /** Milliseconds since the Unix epoch; 0 before the first packet. */
  readonly lastPacketAt: number;
  /** What its packets are, by payload type and SDP; undefined where that is not known. */
  readonly codec: string | undefined;
  /** Undefined where no packet of one source was seen: none at all, or several streams on one port. */
  readonly quality: StreamQuality | undefined;
}

/** A call as the relay sees it, for people and machines to look at. */
export interface MediaSessionSnapshot {
  readonly id: string;
  readonly streams: readonly StreamSnapshot[];
}

export interface MediaSessionEvents {
  /**
   * No RTP came from any side for too long: longer where a side is on hold or no branch has won. Called once, and again only after something was heard or said in
   * between. Nothing is closed by itself.
   */
  onSilence(session: MediaSession): void;
}

/** The media of one call, with all branches of its fork. */
export interface MediaSession {
  readonly id: string;
  /**
   * Rewrites a session description on its way through: addresses and ports become those of the leg that faces
   * the receiver, the sender's own become the remote of the leg that faces the sender. On an offer the ports of
   * both legs are bound before it returns. An offer inside the call (its branch has an answer already) changes
   * nothing until its own answer comes. Once it returns, no packet can overtake what the SDP said. `branch` names one callee of a fork; the caller has one leg for all.
   * Throws MediaError (`media.sdp-unusable`, `media.ports-exhausted`, …); nothing has changed then.
   */
  rewrite(
    sdp: string,
    kind: 'offer' | 'answer',
    from: Party,
    branch: string,
    facingSender: MediaIdentity,
    facingReceiver: MediaIdentity,
  ): string;
  /** The offer that this party made inside the call was refused: the media stays as it was before. */
  rollBack(branch: string, party: Party): void;
  /** All packets of the call pass this tap from now on. It is ended by whoever opened it. */
  attach(tap: MediaTap): void;
  /** A key was pressed: the call's end line tells of it. */
  noteDigit(digit: DtmfDigit): void;
  /** A branch of a fork failed: its callee leg is closed. */
  dropBranch(branch: string): void;
  /** The branch that won: all other callee legs are closed. */
  settle(branch: string): void;
  snapshot(): StreamSnapshot[];
  /** Idempotent. The ports come back a moment later, when the media thread has let go of them. */
  close(): void;
}

/** Looks into the packets of one call: records them, listens for keys. Neither ever holds up the call. */
export interface MediaTap {
  readonly recording: boolean;
  record(what: RecordedCall): void;
  stopRecording(): void;
  /** Keys that are told by telephone events (RFC 4733); with `inband` also those in G.711 where no events are agreed. */
  watchDigits(kind: 'events' | 'inband'): void;
  /** A SIP message of the call, for its capture. */
  message(source: Endpoint, destination: Endpoint, text: string): void;
  /** Resolves when all that was recorded is in its files. */
  end(): Promise<void>;
}

export interface RelaySettings {
  /** For streams that are opened from now on. */
  readonly portRange: PortRange;
  readonly silence: SilenceLimits;
  /** For streams that are opened from now on: the DSCP that their packets leave with, 0 for what they came with. */
  readonly dscp: number;
  /** The line o= of descriptions stays as it came. */
  readonly keepOrigin: boolean;
}

export interface MediaRelay {
  /** A tap for one call, to be attached to its session once there is one. */
  openTap(callId: string, onDigit: (digit: DtmfDigit) => void): MediaTap;
  /** No SDP may point packets at these, such as the SIP listeners by all their names; replaces those before. */
  protect(endpoints: readonly Endpoint[]): void;
  /**
   * The bound address where what is sent to each advertised address arrives now. Ports whose side was told an address
   * that leads elsewhere by now go on there under the same numbers: what was learned, counted and recorded stays.
   */
  follow(places: ReadonlyMap<string, string>): void;
  /** What may change while calls run. Throws MediaError (`media.port-range`); nothing has changed then. */
  configure(settings: RelaySettings): void;
  /** `id` is for logs. Throws nothing. */
  createSession(id: string, events: MediaSessionEvents): MediaSession;
  readonly stats: MediaStats;
  /** All sessions of the moment, or the first so many. */
  sessions(limit?: number): MediaSessionSnapshot[];
  /** The same one by one, each looked at when it is asked for: there may be thousands. */
  eachSession(): Iterable<MediaSessionSnapshot>;
  /** Resolves when all that was asked for so far is done: ports are back, addresses have taken effect. */
  flush(): Promise<void>;
  /** Closes every session and ends the media thread. */
  close(): Promise<void>;
}
