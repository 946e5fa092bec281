import { randomBytes } from 'node:crypto';
import { type Endpoint, normalizeHost } from '../net/address.ts';
import { ownText } from '../net/own-text.ts';
import type { Learner, LearningWindows } from './learning-windows.ts';
import type { MediaIdentity } from './media-contract.ts';
import { type OfferForm, plainForm } from './offer-form.ts';
import type { OwnPorts, PortOwner } from './own-ports.ts';
import type { PairContext, PortPair } from './port-pair.ts';
import type { StreamRemote } from './stream-remote.ts';
import type { IceCredentials } from './stun.ts';

/** What a leg needs from the relay. */
export interface LegContext extends PairContext {
  readonly learningWindows: LearningWindows;
  readonly ownPorts: OwnPorts<MediaLeg>;
  /** True for an endpoint of this host that no SDP may point at. */
  isProtected(endpoint: Endpoint): boolean;
}

/** The call of a leg. */
export interface LegGroup {
  /** All of its legs. */
  legs(): Iterable<MediaLeg>;
}

/** Nothing yet. It is shared: what most legs never have costs none of them anything. */
const none: readonly never[] = [];

/**
 * One side of a call: the caller, or one callee of a fork. For each stream that is relayed it holds a pair of
 * ports and what the side's own SDP said last.
 */
export class MediaLeg implements Learner, PortOwner {
  readonly branch: string;
  /** By position of the `m=` line. */
  pairs: readonly (PortPair | undefined)[] = none;
  /** Pairs that an offer inside the call asked for and that are not answered yet: new streams, other addresses. */
  offered: readonly (PortPair | undefined)[] = none;
  /** True where the side's last SDP sends or receives nothing both ways on any stream. */
  held = false;
  /** Of the side's last offer that was answered, or that begins the call. */
  lastOffer: OfferForm = plainForm;
  /** A callee's alone: for each stream the one whose port it shares by the last answer; nothing where all have their own. */
  shares: readonly number[] = none;
  /** A callee's alone: streams on which the caller has agreed with it on RTCP beside RTP. */
  callerMuxes: readonly number[] = none;
  #ice: IceCredentials | undefined;
  /** The side's own user fragment; a new one begins ICE anew (RFC 8839 4.4.1.1.1). */
  #iceUfrag: string | undefined;
  #iceLite = false;
  #iceRestarts = false;
  /** Legs of other sessions that this one is pointed at, and the reverse: two calls that meet here. */
  links: Set<MediaLeg> | undefined;
  readonly group: LegGroup;
  readonly #context: LegContext;
  #told: string | undefined;
  /** Other addresses by which the side knew us before. */
  #toldBefore: readonly string[] = none;

  constructor(branch: string, context: LegContext, group: LegGroup) {
    this.branch = branch;
    this.#context = context;
    this.group = group;
  }

  /** The side's SDP was read: its streams point where it says, and what changed is learned anew. */
  setRemotes(remotes: readonly (StreamRemote | undefined)[]): void {
    let changed = false;
    remotes.forEach((remote, index) => {
      const pair = this.pairs[index];
      if (!remote || !pair) return;
      const resolved = { ...remote, rtp: this.resolve(remote.rtp), rtcp: this.resolve(remote.rtcp) };
      if (pair.setRemote(resolved)) changed = true;
    });
    if (changed) this.#context.learningWindows.open(this);
  }

  /** An offer inside the call is open, or is not any more. */
  expectMove(moving: boolean): void {
    for (const pair of this.pairs) pair?.expectMove(moving);
  }

  /** Nobody is learned any more. */
  seal(): void {
    for (const pair of this.pairs) pair?.seal();
  }

  /** The address by which the side knows us. */
  get toldAddress(): string | undefined {
    return this.#told;
  }

  /** What the side was told, where it does ICE. */
  get ice(): IceCredentials | undefined {
    return this.#ice;
  }

  /** The side does ICE by its own last description. */
  get doesIce(): boolean {
    return this.#iceUfrag !== undefined;
  }

  /** The side's description has this user fragment. A restart of ICE is answered by one. */
  heardIce(ufrag: string | undefined, lite: boolean): void {
    if (this.#iceUfrag !== ufrag && this.#iceUfrag !== undefined) this.#iceRestarts = true;
    this.#iceUfrag = ufrag && ownText(ufrag);
    this.#iceLite = lite;
    if (ufrag === undefined) this.#ice = undefined;
  }

  /** The side is about to read a description that offers ICE, or that answers its own. */
  tellIce(): void {
    // Until then the old ones hold: an offer may be refused.
    if (this.#iceRestarts) this.#ice = undefined;
    this.#iceRestarts = false;
    // RFC 8839 5.4: at least 24 and 128 bits; all of base64 is allowed but for `=`.
    this.#ice ??= {
      ufrag: randomBytes(6).toString('base64'),
      password: randomBytes(18).toString('base64'),
    };
  }

  /** The sockets answer by what was told; also those that were opened since. */
  applyIce(): void {
    const checked = this.doesIce && !this.#iceLite;
    for (const pair of [...this.pairs, ...this.offered])
      pair?.setIce(this.#ice, this.#ice !== undefined && checked);
  }

  /** A stream goes on at the port of another one, which is over, or at that of `instead`. */
  inheritPort(from: number, index: number, instead?: PortPair): void {
    const pair = this.pairs[from];
    this.closeStream(index);
    this.pairs = placed(this.pairs, index, instead ?? pair);
    if (!instead) this.pairs = placed(this.pairs, from, undefined);
    else if (pair?.remote && instead.setRemote(pair.remote)) this.#context.learningWindows.open(this);
  }

  /** Streams that have RTCP beside RTP. */
  muxed(): readonly number[] {
    const indexes = this.pairs.flatMap((pair, index) => (pair?.muxes ? [index] : []));
    return indexes.length > 0 ? indexes : none;
  }

  /** What is agreed holds: streams that have RTCP beside RTP need no other port. */
  closeRtcp(): void {
    for (const pair of this.pairs) if (pair?.muxes) pair.closeRtcp();
  }

  /** The pair that a description written now names. */
  pairAt(index: number): PortPair | undefined {
    return this.offered[index] ?? this.pairs[index];
  }

  boundAddressOf(port: number): string | undefined {
    return [...this.pairs, ...this.offered].find((pair) => pair?.port === port)?.boundAddress;
  }

  /** A pair for an offer that is not answered yet; one of an offer before it, on another address, is closed. */
  offerPair(index: number, pair: PortPair): void {
    const before = this.offered[index];
    if (before) this.#closePair(before);
    this.offered = placed(this.offered, index, pair);
  }

  /** Offered pairs take their places; those before, on other addresses, are closed. */
  acceptOffered(): void {
    this.offered.forEach((pair, index) => {
      if (!pair) return;
      this.closeStream(index);
      this.pairs = placed(this.pairs, index, pair);
    });
    this.offered = none;
  }

  /** Offered pairs are closed again. */
  dropOffered(): void {
    for (const pair of this.offered) if (pair) this.#closePair(pair);
    this.offered = none;
  }

  closeStream(index: number): void {
    const pair = this.pairs[index];
    if (!pair) return;
    this.#closePair(pair);
    this.pairs = placed(this.pairs, index, undefined);
  }

  #toldNames(): string[] {
    return this.#told === undefined ? [] : [...this.#toldBefore, normalizeHost(this.#told)];
  }

  /** The ports stand in an SDP under this identity: another call's SDP may lead back to them. */
  announce({ boundAddress, advertisedAddress }: MediaIdentity): void {
    const before = this.#toldNames();
    this.#told = advertisedAddress;
    const name = normalizeHost(advertisedAddress);
    const others = before.filter((each) => each !== name);
    this.#toldBefore = others.length > 0 ? others : none;
    for (const pair of [...this.pairs, ...this.offered]) {
      if (!pair) continue;
      if (pair.boundAddress === boundAddress) pair.told = name;
      for (const each of this.#namesOf(pair)) this.#context.ownPorts.add(each, pair.port, this);
    }
  }

  /** The names under which a pair can be found: those that were told, and where it is bound. */
  #namesOf(pair: PortPair): string[] {
    return [...this.#toldNames(), normalizeHost(pair.boundAddress)];
  }

  /** The pairs whose address leads to another card now (`places`), each with the address where it is to go on. */
  *misplaced(places: ReadonlyMap<string, string>): Iterable<[pair: PortPair, place: string]> {
    for (const pair of [...this.pairs, ...this.offered]) {
      const place = pair?.told === undefined ? undefined : places.get(pair.told);
      if (pair && place !== undefined && place !== pair.boundAddress) yield [pair, place];
    }
  }

  /** The pair goes on at the same ports of another address. False where they are not free there. */
  move(pair: PortPair, place: string): boolean {
    const before = pair.boundAddress;
    if (!pair.moveTo(place)) return false;
    const { ownPorts } = this.#context;
    ownPorts.remove(normalizeHost(before), pair.port, this);
    ownPorts.add(normalizeHost(place), pair.port, this);
    for (const other of this.links ?? none) other.#repoint(before, pair);
    return true;
  }

  /** The pair of another call that this leg sends to has moved. */
  #repoint(before: string, { boundAddress, port }: PortPair): void {
    const now = (endpoint: Endpoint | undefined): Endpoint | undefined =>
      endpoint?.address === before && (endpoint.port & ~1) === port
        ? { address: boundAddress, port: endpoint.port }
        : endpoint;
    let changed = false;
    for (const pair of this.pairs) {
      const remote = pair?.remote;
      if (!pair || !remote) continue;
      if (pair.setRemote({ ...remote, rtp: now(remote.rtp), rtcp: now(remote.rtcp) })) changed = true;
    }
    if (changed) this.#context.learningWindows.open(this);
  }

  /**
   * Where packets for an endpoint of the side's SDP go. An own port is reached by its bound address, since the
   * public one leads nowhere from inside; it is refused where packets would run in a ring, as are the ports of
   * this host that never are media.
   */
  resolve(endpoint: Endpoint | undefined): Endpoint | undefined {
    if (!endpoint) return undefined;
    const own = this.#context.ownPorts.find(endpoint);
    if (!own) return this.#context.isProtected(endpoint) ? undefined : endpoint;
    if (closesRing(this, own.owner)) return undefined;
    this.#link(own.owner);
    own.owner.#link(this);
    return own.bound;
  }

  close(): void {
    this.#context.learningWindows.forget(this);
    this.pairs.forEach((_pair, index) => {
      this.closeStream(index);
    });
    this.pairs = none;
    this.dropOffered();
    for (const other of this.links ?? none) other.links?.delete(this);
    this.links = undefined;
  }

  #link(other: MediaLeg): void {
    this.links ??= new Set();
    this.links.add(other);
  }

  #closePair(pair: PortPair): void {
    for (const name of this.#namesOf(pair)) this.#context.ownPorts.remove(name, pair.port, this);
    pair.close();
  }
}

/** More legs than this in one chain of calls through one relay is a mistake, or an attack. */
const maxChain = 64;

/**
 * True where pointing `from` at `to` closes a ring of relay ports, in which one packet would run for ever: they
 * are joined already by another way than their own link.
 */
export function closesRing(from: MediaLeg, to: MediaLeg): boolean {
  const seen = new Set([to]);
  for (const leg of seen) {
    if (leg === from || seen.size > maxChain) return true;
    for (const next of leg.group.legs()) seen.add(next);
    for (const next of leg.links ?? none) if (leg !== to || next !== from) seen.add(next);
  }
  return false;
}

/** A copy with that element, and no room for more: an array that grows by itself takes room for sixteen. */
function placed<Element>(
  list: readonly (Element | undefined)[],
  index: number,
  element: Element | undefined,
): readonly (Element | undefined)[] {
  return Array.from({ length: Math.max(list.length, index + 1) }, (_, at) =>
    at === index ? element : list[at],
  );
}
