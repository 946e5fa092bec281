import { bracket, type Endpoint } from '../net/address.ts';
import type { Clock } from '../net/clock.ts';
import type { Forwarder } from './forwarder.ts';
import { MediaError } from './media-error.ts';
import type { PortPool } from './port-pool.ts';
import type { StreamRemote } from './stream-remote.ts';
import type { IceCredentials } from './stun.ts';

/** What a pair needs from the relay. */
export interface PairContext {
  readonly forwarder: Forwarder;
  readonly clock: Clock;
  poolFor(boundAddress: string): PortPool;
}

/**
 * The sockets of one stream on one side: RTP on an even port, RTCP on the next one. Where RTCP comes beside RTP for good
 * the second one can be given back; its number stays taken.
 */
export class PortPair {
  readonly port: number;
  /** The slot of the RTP socket, and of everything where RTCP shares its port. */
  readonly rtp: number;
  readonly rtcp: number;
  /** The side has RTCP beside RTP on one port (RFC 5761). */
  muxes = false;
  /** The address that the side was told for it. */
  told: string | undefined;
  #boundAddress: string;
  /** Where its ports go back to. */
  #pool: PortPool;
  #remote: StreamRemote | undefined;
  readonly #context: PairContext;
  #closed = false;

  private constructor(
    context: PairContext,
    pool: PortPool,
    boundAddress: string,
    port: number,
    rtp: number,
    rtcp: number,
  ) {
    this.#context = context;
    this.#pool = pool;
    this.#boundAddress = boundAddress;
    this.port = port;
    this.rtp = rtp;
    this.rtcp = rtcp;
  }

  /** Binds a free pair. Throws MediaError, with nothing left open. */
  static open(context: PairContext, boundAddress: string): PortPair {
    const pool = context.poolFor(boundAddress);
    const { forwarder } = context;
    // Each pair that was free is tried once: others on this machine may hold some.
    for (let tries = pool.free; tries > 0; tries--) {
      const port = pool.take()!;
      const rtp = forwarder.open(boundAddress, port);
      if (typeof rtp === 'string') {
        pool.giveBack(port);
        if (rtp === 'EADDRINUSE') continue;
        throw bindError(boundAddress, port, rtp);
      }
      const rtcp = forwarder.open(boundAddress, port + 1);
      if (typeof rtcp !== 'string') return new PortPair(context, pool, boundAddress, port, rtp, rtcp);
      forwarder.close([rtp], () => pool.giveBack(port));
      if (rtcp !== 'EADDRINUSE') throw bindError(boundAddress, port + 1, rtcp);
    }
    throw new MediaError(
      'media.ports-exhausted',
      `No pair of media ports is free on ${boundAddress}: widen the media port range or end calls.`,
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  get boundAddress(): string {
    return this.#boundAddress;
  }

  /**
   * Goes on at the same ports of another address, with all that was learned and counted. False where they are not free
   * there: then nothing has changed.
   */
  moveTo(address: string): boolean {
    const { forwarder } = this.#context;
    const [before, pool] = [this.#pool, this.#context.poolFor(address)];
    const { port } = this;
    if (this.#closed || !pool.takeExactly(port)) return false;
    if (!forwarder.rebind([this.rtp, this.rtcp], address, port, () => before.giveBack(port))) {
      pool.giveBack(port);
      return false;
    }
    this.#pool = pool;
    this.#boundAddress = address;
    return true;
  }

  /** RTCP has a socket of its own at the moment. */
  get hasRtcp(): boolean {
    return this.#context.forwarder.isBound(this.rtcp);
  }

  /** Nothing comes to the port for RTCP any more. */
  closeRtcp(): void {
    this.#context.forwarder.unbind(this.rtcp);
  }

  /** The port for RTCP is open, from before or again. Undefined, or why it cannot be: nothing has changed then. */
  openRtcp(): MediaError | undefined {
    if (this.#closed || this.hasRtcp) return undefined;
    const { forwarder } = this.#context;
    const error = forwarder.bind(this.rtcp);
    if (error === 'EADDRINUSE') {
      return new MediaError(
        'media.ports-exhausted',
        `${bracket(this.#boundAddress)}:${this.port + 1}, given back while RTCP came beside RTP, is held by another program now: keep others off the media ports.`,
      );
    }
    if (error !== undefined) return bindError(this.#boundAddress, this.port + 1, error);
    // Whoever sent there long ago is known no more: who is expected there may begin, as where nobody was ever heard.
    this.#aimRtcp();
    forwarder.seal(this.rtcp);
    return undefined;
  }

  #aimRtcp(): void {
    if (!this.#remote) return;
    const { rtcp, form, signalling } = this.#remote;
    this.#context.forwarder.aim(this.rtcp, rtcp ?? 'learn', form.isRtp, signalling, this.rtp);
  }

  /** What the peer's SDP said last. */
  get remote(): StreamRemote | undefined {
    return this.#remote;
  }

  /** True where an address or a port changed, or where the side's SIP comes from, so that it is learned anew. */
  setRemote(remote: StreamRemote): boolean {
    const { forwarder } = this.#context;
    const last = this.#remote;
    forwarder.mute(this.rtp, remote.muted);
    forwarder.mute(this.rtcp, remote.muted);
    // A hold with 0.0.0.0 names no address: the one from before is kept for the time after.
    if (remote.muted && last) {
      this.#remote = { ...last, muted: true };
      return false;
    }
    this.#remote = remote;
    const { isRtp, kinds, rtcpKinds } = remote.form;
    forwarder.setKinds(this.rtp, kinds);
    forwarder.setKinds(this.rtcp, rtcpKinds);
    const kind = last?.form.isRtp !== isRtp;
    const rtp = kind || !sameEndpoint(last?.rtp, remote.rtp);
    const rtcp = kind || !sameEndpoint(last?.rtcp, remote.rtcp);
    if (rtp) forwarder.aim(this.rtp, remote.rtp ?? 'learn', isRtp, remote.signalling);
    if (rtcp) this.#aimRtcp();
    const { signalling } = remote;
    const moved = last !== undefined && signalling !== undefined && signalling !== last.signalling;
    if (moved && !rtp) forwarder.expect(this.rtp, signalling);
    if (moved && !rtcp) forwarder.expect(this.rtcp, signalling);
    return rtp || rtcp || moved;
  }

  /** See `latchBit.moving`. */
  expectMove(moving: boolean): void {
    this.#context.forwarder.expectMove(this.rtp, moving);
    this.#context.forwarder.expectMove(this.rtcp, moving);
  }

  seal(): void {
    this.#context.forwarder.seal(this.rtp);
    this.#context.forwarder.seal(this.rtcp);
  }

  /** What arrives here leaves from `other`; undefined for nowhere. */
  sendVia(other: PortPair | undefined): void {
    const { forwarder } = this.#context;
    const joins = other?.muxes === true;
    forwarder.split(this.rtp, this.muxes && other && !joins ? other.rtcp : -1);
    forwarder.link(this.rtp, other?.rtp ?? -1);
    // RTCP alone goes over to the port of RTP: a handshake for keys of its own would spoil the one that runs there.
    forwarder.split(this.rtcp, joins ? other.rtp : -1);
    forwarder.link(this.rtcp, joins ? -1 : (other?.rtcp ?? -1));
  }

  /** The side was told these credentials; with `checked` it makes checks of its own and nothing else is believed. */
  setIce(ice: IceCredentials | undefined, checked: boolean): void {
    this.#context.forwarder.setIce(this.rtp, ice, checked);
    this.#context.forwarder.setIce(this.rtcp, ice, checked);
  }

  /** `released` may read the last counters: what the kernel counted by itself is in them by then. */
  close(released?: () => void): void {
    if (this.#closed) return;
    this.#closed = true;
    const pool = this.#pool;
    this.#context.forwarder.close([this.rtp, this.rtcp], () => {
      pool.giveBack(this.port);
      released?.();
    });
  }
}

function sameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a?.address === b?.address && a?.port === b?.port;
}

function bindError(address: string, port: number, error: string): MediaError {
  const endpoint = `${bracket(address)}:${port}`;
  if (error === 'EADDRNOTAVAIL') {
    return new MediaError(
      'media.address-not-local',
      `Cannot bind media to ${endpoint}: ${address} is not an address of this machine. Behind a 1-to-1 NAT, bind the private address of the network interface and advertise the public one.`,
    );
  }
  if (error === 'EMFILE' || error === 'ENFILE' || error === 'ENOBUFS') {
    return new MediaError(
      'media.sockets-exhausted',
      `Cannot open a media socket on ${endpoint}: ${error}. Raise the limit of open files (LimitNOFILE) or end calls.`,
    );
  }
  return new MediaError('media.bind-failed', `Cannot bind media to ${endpoint}: ${error}.`);
}
