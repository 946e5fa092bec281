import { bundleHeads } from '../sdp/bundle.ts';
import type { SessionDescription } from '../sdp/session-description.ts';
import { codecName } from './codec-name.ts';
import type { DtmfDigit } from './dtmf/dtmf-digit.ts';
import { inheritPorts } from './inherit-ports.ts';
import type {
  MediaIdentity,
  MediaSession,
  MediaSessionEvents,
  MediaTap,
  Party,
  StreamSnapshot,
} from './media-contract.ts';
import { MediaError } from './media-error.ts';
import { type LegContext, type LegGroup, MediaLeg } from './media-leg.ts';
import type { MediaLog } from './media-log.ts';
import { negotiateIce } from './negotiate-ice.ts';
import { offerForm } from './offer-form.ts';
import { OpenOffers } from './open-offers.ts';
import { PortPair } from './port-pair.ts';
import { readDescription } from './read-description.ts';
import { agreeOnRtcp, reopenRtcp } from './rtcp-mux.ts';
import type { Listened, SilenceWatch } from './silence-watch.ts';
import { isActive, isHeld, remoteOf, type StreamRemote } from './stream-remote.ts';
import { summarize } from './summarize.ts';
import type { CallTap } from './tap/call-tap.ts';
import { tappedStreams } from './tap/tapped-streams.ts';
import { writeDescription } from './write-description.ts';

/** What a session needs from the relay. */
export interface SessionContext extends LegContext {
  readonly log: MediaLog;
  readonly silence: SilenceWatch;
  /** The line o= stays as it came. */
  keepOrigin: boolean;
  closed(session: RelayedSession): void;
}

/** One stream of one side. */
interface Stream extends Pick<StreamSnapshot, 'party' | 'branch' | 'index'> {
  readonly pair: PortPair;
}

/** Shared by all that have none. */
const none: readonly never[] = [];

/** More keys than these stand on no end line. */
const maxDigits = 64;

/**
 * The media of one call: one leg that faces the caller, one for each branch of the fork. What a callee sends goes
 * to the caller; what the caller sends goes to the branch that won, before that to the one that answered last.
 */
export class RelayedSession implements MediaSession, Listened, LegGroup {
  readonly id: string;
  readonly #context: SessionContext;
  readonly #events: MediaSessionEvents;
  #caller: MediaLeg | undefined;
  #callees: readonly MediaLeg[] = none;
  /** Those of them that have an answer, the latest last. */
  #answered: readonly MediaLeg[] = none;
  /** Made with the first offer inside the call: most calls have none. */
  #openOffers: OpenOffers | undefined;
  #settled: string | undefined;
  #tap: CallTap | undefined;
  #digits: DtmfDigit[] | undefined;
  #closed = false;

  constructor(id: string, events: MediaSessionEvents, context: SessionContext) {
    this.id = id;
    this.#events = events;
    this.#context = context;
    context.silence.add(this);
  }

  /** How many legs stand. */
  get legCount(): number {
    return this.#callees.length + (this.#caller ? 1 : 0);
  }

  rewrite(
    sdp: string,
    kind: 'offer' | 'answer',
    from: Party,
    branch: string,
    facingSender: MediaIdentity,
    facingReceiver: MediaIdentity,
  ): string {
    if (this.#closed)
      throw new MediaError('media.session-closed', `The media of ${this.id} is closed already.`);
    if (this.#settled !== undefined && this.#settled !== branch) {
      throw new MediaError(
        'media.branch-gone',
        `Another branch of ${this.id} has won: this one has no media.`,
      );
    }
    const description = readDescription(sdp);
    const [callerIdentity, calleeIdentity] =
      from === 'caller' ? [facingSender, facingReceiver] : [facingReceiver, facingSender];
    const heads = bundleHeads(description, kind, this.#calleeOf(branch)?.shares);
    if (kind === 'offer') this.#reserve(description, heads, from, branch, callerIdentity, calleeIdentity);
    const caller = this.#caller;
    const callee = this.#calleeOf(branch);
    if (!caller || !callee) {
      throw new MediaError(
        this.#callees.length === 0 ? 'media.answer-without-offer' : 'media.branch-gone',
        `An answer came in ${this.id} for a branch that has no offer, or that is closed: there is no port to write into it.`,
      );
    }
    const [sender, receiver] = from === 'caller' ? [caller, callee] : [callee, caller];
    const isOpen = kind === 'offer' && this.#answered.includes(callee);
    if (kind === 'answer') {
      const offer = this.#openOffers?.take(branch, from === 'caller' ? 'callee' : 'caller');
      if (offer) {
        caller.acceptOffered();
        callee.acceptOffered();
        point(receiver, offer.remotes, offer.held);
        receiver.lastOffer = offer.form;
      }
      // Branches of a fork share the caller's ports, and another may not have refused the stream.
      const keeps = (index: number): boolean =>
        this.#callees.some((other) => other !== callee && other.pairs[index] !== undefined);
      inheritPorts(description, heads, receiver.lastOffer.heads, callee, caller, (index, pair) =>
        keeps(index) ? PortPair.open(this.#context, pair.boundAddress) : undefined,
      );
    }
    caller.announce(callerIdentity);
    callee.announce(calleeIdentity);

    const remotes = description.media.map((section, index) => {
      const pair = sender.pairAt(index);
      if (!pair || !isActive(section) || heads[index] !== index) return undefined;
      const bundled = heads.some((head, other) => head === index && other !== index);
      return remoteOf(description, section, pair.boundAddress, facingSender.peerAddress, bundled);
    });
    const active = description.media.filter(isActive);
    const held = active.length > 0 && active.every((section) => isHeld(description, section));
    if (isOpen) {
      this.#openOffers ??= new OpenOffers();
      this.#openOffers.put(branch, from, { remotes, held, form: offerForm(description, heads) });
      for (const leg of [caller, callee]) leg.expectMove(true);
    } else point(sender, remotes, held);
    if (kind === 'answer') {
      if (this.#openOffers?.none) for (const leg of this.legs()) leg.expectMove(false);
      this.#releaseRefused(description, heads, caller, callee);
      agreeOnRtcp(description, sender, receiver, ({ message }) =>
        this.#context.log.warn(`${this.id} goes on without RTCP: ${message}`),
      );
      callee.callerMuxes = caller.muxed();
      callee.shares = heads.some((head, index) => head !== index) ? heads : none;
      const answered = without(this.#answered, callee).concat(callee);
      // Most calls have one callee, who answers: one list is enough then.
      this.#answered = sameLegs(answered, this.#callees) ? this.#callees : answered;
    } else if (!isOpen) sender.lastOffer = offerForm(description, heads);
    negotiateIce(description, kind, sender, receiver);
    this.#relink();
    this.#closeRtcp();
    this.#showStreams();
    this.#context.forwarder.deliver();
    this.#context.silence.touch(this);
    const { keepOrigin } = this.#context;
    return writeDescription(description, kind, receiver, heads, facingReceiver.advertisedAddress, keepOrigin);
  }

  rollBack(branch: string, party: Party): void {
    const offers = this.#openOffers;
    if (!offers?.take(branch, party) || !offers.none) return;
    for (const leg of this.legs()) {
      leg.dropOffered();
      leg.expectMove(false);
    }
    this.#closeRtcp();
  }

  dropBranch(branch: string): void {
    for (const party of ['caller', 'callee'] as const) this.rollBack(branch, party);
    const callee = this.#calleeOf(branch);
    callee?.close();
    this.#callees = without(this.#callees, callee);
    this.#answered = without(this.#answered, callee);
    this.#relink();
    this.#showStreams();
  }

  attach(tap: MediaTap): void {
    this.#tap = tap as CallTap;
    this.#showStreams();
  }

  settle(branch: string): void {
    if (this.#closed || this.#settled === branch || !this.#calleeOf(branch)) return;
    this.#settled = branch;
    // At once: what the caller was told of others counts no more.
    this.#relink();
    for (const other of this.#callees) if (other.branch !== branch) this.dropBranch(other.branch);
    this.#releaseUnwanted();
    this.#closeRtcp();
    this.#showStreams();
    this.#context.forwarder.deliver();
    this.#context.silence.touch(this);
  }

  noteDigit(digit: DtmfDigit): void {
    this.#digits ??= [];
    if (this.#digits.length < maxDigits) this.#digits.push(digit);
  }

  snapshot(): StreamSnapshot[] {
    return this.#streams().map((stream) => this.#read(stream));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.silence.remove(this);
    const streams = this.#streams();
    // The kernel's last counts come when its flows end: each stream is read once its ports are free.
    const last: StreamSnapshot[] = [];
    let open = streams.length;
    streams.forEach((stream, place) => {
      stream.pair.close(() => {
        last[place] = this.#read(stream);
        if (--open === 0) this.#logEnd(last);
      });
    });
    for (const leg of [...this.legs()]) leg.close();
    this.#caller = undefined;
    this.#callees = none;
    this.#answered = none;
    this.#context.closed(this);
  }

  #streams(): Stream[] {
    return [...this.legs()].flatMap((leg) => {
      const party = leg === this.#caller ? 'caller' : 'callee';
      return leg.pairs.flatMap((pair, index) => (pair ? [{ party, branch: leg.branch, index, pair }] : []));
    });
  }

  #read({ party, branch, index, pair }: Stream): StreamSnapshot {
    const { forwarder } = this.#context;
    const rtp = forwarder.counters(pair.rtp);
    const rtcp = forwarder.counters(pair.rtcp);
    return {
      party,
      branch,
      index,
      bound: { address: pair.boundAddress, port: pair.port },
      described: pair.remote?.rtp,
      learnedEndpoint: forwarder.remote(pair.rtp),
      packets: rtp.packets + rtcp.packets,
      bytes: rtp.bytes + rtcp.bytes,
      kernelPackets: rtp.kernelPackets + rtcp.kernelPackets,
      droppedStrangers: rtp.strangers + rtcp.strangers,
      lastPacketAt: Math.round(Math.max(rtp.lastPacketAt, rtcp.lastPacketAt)),
      codec: codecName(forwarder.payloadType(pair.rtp), pair.remote?.form.formats),
      quality: forwarder.quality(pair.rtp, pair.rtcp, pair.muxes),
    };
  }

  #logEnd(last: readonly StreamSnapshot[]): void {
    const streams = last
      .filter(({ packets, droppedStrangers }) => packets > 0 || droppedStrangers > 0)
      .map(summarize);
    // A call that nobody answered has nothing to tell, and strangers can make many of them.
    if (streams.length === 0) return;
    const dtmf = this.#digits && { dtmf: this.#digits };
    this.#context.log.info('the media of a call ended', { callId: this.id, streams, ...dtmf });
  }

  /** Before an answer the caller's transaction bounds the time; without a stream there is nothing to hear. */
  heard(): number | undefined {
    if (this.#answered.length === 0) return undefined;
    const { forwarder } = this.#context;
    let packets: number | undefined;
    // Asked of every call every few seconds: what it leaves to the garbage collector keeps V8 from giving memory back.
    for (let at = -1; at < this.#callees.length; at++) {
      const leg = at < 0 ? this.#caller : this.#callees[at];
      for (const pair of leg?.pairs ?? none) {
        if (pair) packets = (packets ?? 0) + forwarder.rtpPackets(pair.rtp);
      }
    }
    return packets;
  }

  /** Silence is usual on hold, and while a phone rings behind a gateway that answered early (RFC 3960 3). */
  get quiet(): boolean {
    if (this.#settled === undefined || this.#caller?.held) return true;
    for (const leg of this.#callees) if (leg.held) return true;
    return false;
  }

  silent(): void {
    this.#context.log.info(`no media came for too long in ${this.id}`);
    try {
      this.#events.onSilence(this);
    } catch (error) {
      this.#context.log.warn(`onSilence of ${this.id} failed: ${error}`);
    }
  }

  *legs(): Iterable<MediaLeg> {
    if (this.#caller) yield this.#caller;
    yield* this.#callees;
  }

  #calleeOf(branch: string): MediaLeg | undefined {
    return this.#callees.find((leg) => leg.branch === branch);
  }

  /** Where the caller's packets go. */
  get #chosen(): MediaLeg | undefined {
    return this.#settled === undefined ? this.#answered.at(-1) : this.#calleeOf(this.#settled);
  }

  #showStreams(): void {
    const tap = this.#tap;
    const caller = this.#caller;
    if (!tap || !caller || this.#closed) return;
    const { forwarder } = this.#context;
    const generation = (slot: number): number => forwarder.generation(slot);
    const chosen = this.#chosen;
    tap.setStreams([
      ...tappedStreams(caller, 'caller', chosen, generation),
      ...this.#callees.flatMap((leg) => tappedStreams(leg, 'callee', caller, generation)),
    ]);
  }

  /** Binds what the offer needs on both sides, all of it or nothing. */
  #reserve(
    description: SessionDescription,
    heads: readonly number[],
    from: Party,
    branch: string,
    callerIdentity: MediaIdentity,
    calleeIdentity: MediaIdentity,
  ): void {
    const newLeg = (name: string): MediaLeg => new MediaLeg(name, this.#context, this);
    const caller = this.#caller ?? newLeg('');
    const known = this.#calleeOf(branch);
    const callee = known ?? newLeg(branch);
    const opened: { leg: MediaLeg; index: number; pair: PortPair }[] = [];
    try {
      description.media.forEach((section, index) => {
        if (!isActive(section) || heads[index] !== index) return;
        for (const [leg, identity] of [
          [caller, callerIdentity],
          [callee, calleeIdentity],
        ] as const) {
          if (leg.pairAt(index)?.boundAddress === identity.boundAddress) continue;
          opened.push({ leg, index, pair: PortPair.open(this.#context, identity.boundAddress) });
        }
      });
      if (from === 'caller') reopenRtcp(description, heads, caller, callee, callerIdentity.boundAddress);
      else reopenRtcp(description, heads, callee, caller, calleeIdentity.boundAddress);
    } catch (error) {
      for (const { pair } of opened) pair.close();
      throw error;
    }
    for (const { leg, index, pair } of opened) leg.offerPair(index, pair);
    if (!this.#answered.includes(callee)) {
      caller.acceptOffered();
      callee.acceptOffered();
    }
    this.#caller = caller;
    if (!known) this.#callees = this.#callees.concat(callee);
  }

  /** A stream with port 0 in an answer is over (RFC 3264 6); in an offer it may still come to nothing. */
  #releaseRefused(
    description: SessionDescription,
    heads: readonly number[],
    caller: MediaLeg,
    callee: MediaLeg,
  ): void {
    const count = Math.max(caller.pairs.length, callee.pairs.length);
    for (let index = 0; index < count; index++) {
      const section = description.media[index];
      // One that went onto the port of another is over as well (RFC 9143).
      if (section && isActive(section) && heads[index] === index) continue;
      callee.closeStream(index);
      const wanted = this.#callees.some((leg) => leg.pairs[index]);
      if (!wanted) caller.closeStream(index);
    }
  }

  /** A stream that only branches wanted that have lost is over, as where the answer of the one that won came last. */
  #releaseUnwanted(): void {
    const [caller, callee] = [this.#caller, this.#chosen];
    if (!caller || !callee || !this.#answered.includes(callee)) return;
    for (const index of caller.pairs.keys()) if (!callee.pairs[index]) caller.closeStream(index);
  }

  /**
   * Sockets for RTCP that comes beside RTP go. Not before a branch has won: until then each of them may answer otherwise, also
   * one that has answered. Nor while an offer is open.
   */
  #closeRtcp(): void {
    const callee = this.#settled === undefined ? undefined : this.#chosen;
    if (!callee || !this.#answered.includes(callee) || this.#openOffers?.none === false) return;
    for (const leg of this.legs()) leg.closeRtcp();
  }

  #relink(): void {
    const caller = this.#caller;
    if (!caller) return;
    const chosen = this.#chosen;
    // Each branch of a fork may have told the caller something else.
    if (chosen)
      for (const [index, pair] of caller.pairs.entries())
        if (pair) pair.muxes = chosen.callerMuxes.includes(index);
    for (const pairs of [caller.pairs, caller.offered]) {
      pairs.forEach((pair, index) => {
        pair?.sendVia(chosen?.pairs[index]);
      });
    }
    for (const { pairs, offered } of this.#callees) {
      for (const mine of [pairs, offered]) {
        mine.forEach((pair, index) => {
          pair?.sendVia(caller.pairs[index]);
        });
      }
    }
  }
}

function point(leg: MediaLeg, remotes: readonly (StreamRemote | undefined)[], held: boolean): void {
  leg.setRemotes(remotes);
  leg.held = held;
}

function sameLegs(a: readonly MediaLeg[], b: readonly MediaLeg[]): boolean {
  return a.length === b.length && a.every((leg, at) => leg === b[at]);
}

function without(legs: readonly MediaLeg[], leg: MediaLeg | undefined): readonly MediaLeg[] {
  const at = leg ? legs.indexOf(leg) : -1;
  return at < 0 ? legs : legs.toSpliced(at, 1);
}
