import { parseSessionDescription } from '../sdp/parse-session-description.ts';
import { readdress, type SectionPort } from '../sdp/readdress.ts';
import { SdpError } from '../sdp/sdp-error.ts';
import { connectionOf, type MediaSection, type SessionDescription } from '../sdp/session-description.ts';
import type {
  MediaIdentity,
  MediaSession,
  MediaSessionEvents,
  Party,
  StreamSnapshot,
} from './media-contract.ts';
import { MediaError } from './media-error.ts';
import { type LegContext, MediaLeg } from './media-leg.ts';
import type { MediaLog } from './media-log.ts';
import { PortPair } from './port-pair.ts';
import type { Listened, SilenceWatch } from './silence-watch.ts';
import { isHeld, isRelayed, remoteOf } from './stream-remote.ts';

/** What a session needs from the relay. */
export interface SessionContext extends LegContext {
  readonly log: MediaLog;
  readonly silence: SilenceWatch;
  closed(session: RelayedSession): void;
}

/**
 * The media of one call: one leg that faces the caller, one for each branch of the fork. What a callee sends goes
 * to the caller; what the caller sends goes to the branch that won, before that to the one that answered last.
 */
export class RelayedSession implements MediaSession, Listened {
  readonly id: string;
  readonly #context: SessionContext;
  readonly #events: MediaSessionEvents;
  #caller: MediaLeg | undefined;
  readonly #callees = new Map<string, MediaLeg>();
  /** Branches that have an answer, the latest last. */
  readonly #answered = new Set<string>();
  #settled: string | undefined;
  #closed = false;

  constructor(id: string, events: MediaSessionEvents, context: SessionContext) {
    this.id = id;
    this.#events = events;
    this.#context = context;
    context.silence.add(this);
  }

  /** How many legs stand. */
  get legs(): number {
    return this.#callees.size + (this.#caller ? 1 : 0);
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
    if (kind === 'offer') this.#reserve(description, branch, callerIdentity, calleeIdentity);
    const caller = this.#caller;
    const callee = this.#callees.get(branch);
    if (!caller || !callee) {
      throw new MediaError(
        this.#callees.size === 0 ? 'media.answer-without-offer' : 'media.branch-gone',
        `An answer came in ${this.id} for a branch that has no offer, or that is closed: there is no port to write into it.`,
      );
    }
    const [sender, receiver] = from === 'caller' ? [caller, callee] : [callee, caller];
    caller.announce(callerIdentity);
    callee.announce(calleeIdentity);

    const ports = description.media.map((section, index): SectionPort => {
      if (!isRelayed(section)) return 'untouched';
      return section.port === 0 ? 0 : (receiver.pairs[index]?.port ?? 0);
    });
    sender.setRemotes(
      description.media.map((section, index) => {
        const pair = sender.pairs[index];
        return pair && isActive(section) ? remoteOf(description, section, pair.boundAddress) : undefined;
      }),
    );
    const active = description.media.filter(isActive);
    sender.held = active.length > 0 && active.every((section) => isHeld(description, section));
    if (kind === 'answer') {
      this.#releaseRefused(description, caller, callee);
      this.#answered.delete(branch);
      this.#answered.add(branch);
    }
    this.#relink();
    this.#context.silence.touch(this);
    return readdress(description, facingReceiver.advertisedAddress, ports);
  }

  dropBranch(branch: string): void {
    this.#callees.get(branch)?.close();
    this.#callees.delete(branch);
    this.#answered.delete(branch);
    this.#relink();
  }

  settle(branch: string): void {
    if (this.#closed || this.#settled === branch || !this.#callees.has(branch)) return;
    this.#settled = branch;
    for (const other of [...this.#callees.keys()]) if (other !== branch) this.dropBranch(other);
    this.#relink();
    this.#context.silence.touch(this);
  }

  snapshot(): StreamSnapshot[] {
    return [...this.#legs()].flatMap((leg) =>
      leg.pairs.flatMap((pair, index): StreamSnapshot[] => {
        if (!pair) return [];
        const rtp = this.#context.forwarder.counters(pair.rtp);
        const rtcp = this.#context.forwarder.counters(pair.rtcp);
        return [
          {
            party: leg === this.#caller ? 'caller' : 'callee',
            branch: leg.branch,
            index,
            bound: { address: pair.boundAddress, port: pair.port },
            described: pair.remote?.rtp,
            learnedEndpoint: this.#context.forwarder.remote(pair.rtp),
            packets: rtp.packets + rtcp.packets,
            bytes: rtp.bytes + rtcp.bytes,
            droppedStrangers: rtp.strangers + rtcp.strangers,
            lastPacketAt: Math.max(rtp.lastPacketAt, rtcp.lastPacketAt),
          },
        ];
      }),
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.silence.remove(this);
    for (const leg of [...this.#legs()]) leg.close();
    this.#caller = undefined;
    this.#callees.clear();
    this.#context.closed(this);
  }

  /** Before an answer the caller's transaction bounds the time; without a stream there is nothing to hear. */
  heard(): number | undefined {
    if (this.#answered.size === 0) return undefined;
    let packets: number | undefined;
    for (const leg of this.#legs()) {
      for (const pair of leg.pairs) {
        if (pair) packets = (packets ?? 0) + this.#context.forwarder.counters(pair.rtp).rtp;
      }
    }
    return packets;
  }

  /** Silence is usual on hold, and while a phone rings behind a gateway that answered early (RFC 3960 3). */
  get quiet(): boolean {
    if (this.#settled === undefined) return true;
    for (const leg of this.#legs()) if (leg.held) return true;
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

  *#legs(): Iterable<MediaLeg> {
    if (this.#caller) yield this.#caller;
    yield* this.#callees.values();
  }

  /** Binds what the offer needs on both sides, all of it or nothing. */
  #reserve(
    description: SessionDescription,
    branch: string,
    callerIdentity: MediaIdentity,
    calleeIdentity: MediaIdentity,
  ): void {
    const newLeg = (name: string): MediaLeg => new MediaLeg(name, this.#context, () => this.#legs());
    const caller = this.#caller ?? newLeg('');
    const callee = this.#callees.get(branch) ?? newLeg(branch);
    const opened: { leg: MediaLeg; index: number; pair: PortPair }[] = [];
    try {
      description.media.forEach((section, index) => {
        if (!isActive(section)) return;
        for (const [leg, identity] of [
          [caller, callerIdentity],
          [callee, calleeIdentity],
        ] as const) {
          if (leg.pairs[index]?.boundAddress === identity.boundAddress) continue;
          opened.push({ leg, index, pair: PortPair.open(this.#context, identity.boundAddress) });
        }
      });
    } catch (error) {
      for (const { pair } of opened) pair.close();
      throw error;
    }
    for (const { leg, index, pair } of opened) leg.setStream(index, pair);
    this.#caller = caller;
    this.#callees.set(branch, callee);
  }

  /** A stream with port 0 in an answer is over (RFC 3264 6); in an offer it may still come to nothing. */
  #releaseRefused(description: SessionDescription, caller: MediaLeg, callee: MediaLeg): void {
    const count = Math.max(caller.pairs.length, callee.pairs.length);
    for (let index = 0; index < count; index++) {
      const section = description.media[index];
      if (section && isActive(section)) continue;
      callee.closeStream(index);
      const wanted = [...this.#callees.values()].some((leg) => leg.pairs[index]);
      if (!wanted) caller.closeStream(index);
    }
  }

  #relink(): void {
    const caller = this.#caller;
    if (!caller) return;
    const chosen = this.#callees.get(this.#settled ?? [...this.#answered].at(-1) ?? '\0');
    caller.pairs.forEach((pair, index) => {
      pair?.sendVia(chosen?.pairs[index]);
    });
    for (const callee of this.#callees.values()) {
      callee.pairs.forEach((pair, index) => {
        pair?.sendVia(caller.pairs[index]);
      });
    }
  }
}

function isActive(section: MediaSection): boolean {
  return section.port !== 0 && isRelayed(section);
}

function readDescription(sdp: string): SessionDescription {
  try {
    const description = parseSessionDescription(sdp);
    for (const section of description.media) {
      if (isActive(section) && !connectionOf(description, section)) {
        throw new SdpError(
          'sdp.connection-missing',
          `The ${section.media} stream has no c= line (RFC 8866 5.7).`,
        );
      }
    }
    return description;
  } catch (error) {
    if (!(error instanceof SdpError)) throw error;
    throw new MediaError('media.sdp-unusable', error.message, { cause: error });
  }
}
