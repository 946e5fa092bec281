import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { MediaIdentity, MediaSession } from '../../../src/media/media-contract.ts';
import { type MediaRelayOptions, startMediaRelay } from '../../../src/media/media-relay.ts';
import type { Endpoint } from '../../../src/net/address.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { enterPrivateNetwork, ip, OtherNetwork, run } from '../../support/private-network.ts';
import { type Frame, type FrameOptions, Wire } from '../../support/wire.ts';
import { portsOf, rtp, sdp, silentLog } from '../support.ts';

export const kernelKinds = ['kernel', 'kernel-xdp'] as const;

/** The kernel may still have to find out a neighbour's address. */
const settleMs = 5000;

/** What a socket sends with; the kernel's program leaves what came in, less one. */
const socketTtl = 64;

export interface Card {
  readonly ifindex: number;
  readonly mac: string;
}

/**
 * A relay with two network cards, in a network of this test file's own. Behind each card is a wire:
 *
 *     r0 10.91.0.1, fd00:91::1 ── near 10.91.0.2 to .9, fd00:91::2
 *     r1 10.92.0.1, fd00:92::1 ── far  10.92.0.2, fd00:92::2
 */
export class RelayNetwork implements Disposable {
  readonly near: Wire;
  readonly far: Wire;
  /** The relay's cards, and what is at the other ends. */
  readonly r0: Card;
  readonly r1: Card;
  readonly p0: Card;
  readonly p1: Card;
  readonly world: OtherNetwork;

  constructor() {
    enterPrivateNetwork();
    this.world = new OtherNetwork();
    for (const [ours, theirs, net] of [
      ['r0', 'p0', 91],
      ['r1', 'p1', 92],
    ] as const) {
      ip(
        `link add ${ours} type veth peer name ${theirs} netns ${this.world.path}`,
        `address add 10.${net}.0.1/24 dev ${ours}`,
        `address add fd00:${net}::1/64 dev ${ours} nodad`,
        `link set ${ours} up`,
      );
      this.world.inside(() => {
        const hosts = net === 91 ? [2, 3, 4, 5, 6, 7, 8, 9] : [2];
        ip(
          ...hosts.map((host) => `address add 10.${net}.0.${host}/24 dev ${theirs}`),
          ...[2, 3].map((host) => `address add fd00:${net}::${host}/64 dev ${theirs} nodad`),
          `link set ${theirs} up`,
        );
      });
      // A card, unlike a cable of memory, is handed whole checksums.
      run('ethtool', ['-K', ours, 'tx', 'off']);
      this.world.inside(() => run('ethtool', ['-K', theirs, 'tx', 'off']));
    }
    this.r0 = card('r0');
    this.r1 = card('r1');
    this.p0 = this.world.inside(() => card('p0'));
    this.p1 = this.world.inside(() => card('p1'));
    this.near = this.world.inside(() => new Wire(this.p0.ifindex));
    this.far = this.world.inside(() => new Wire(this.p1.ifindex));
  }

  [Symbol.dispose](): void {
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
    this.world[Symbol.dispose]();
  }
}

function card(name: string): Card {
  const [link] = JSON.parse(run('ip', ['-json', 'link', 'show', 'dev', name])) as [
    { ifindex: number; address: string },
  ];
  return { ifindex: link.ifindex, mac: link.address };
}

export type Relay = Awaited<ReturnType<typeof startMediaRelay>> & { crash(): Promise<void> };

/** A relay that ends with the test. */
export async function kernelRelay(
  t: TestContext,
  forwarder: (typeof kernelKinds)[number],
  options: Partial<MediaRelayOptions> = {},
): Promise<{ relay: Relay; clock: ManualClock }> {
  const clock = new ManualClock();
  const relay = await startMediaRelay({ log: silentLog, clock, forwarder, ...options });
  t.after(() => relay.close());
  return { relay: relay as Relay, clock };
}

/** One side of a call: where it is, by which wire, and the relay's port that faces it. */
export interface Side {
  readonly wire: Wire;
  readonly mac: string;
  readonly relayMac: string;
  readonly at: Endpoint;
  readonly relay: Endpoint;
}

export interface Call {
  readonly session: MediaSession;
  /** What the caller was answered. */
  readonly answer: string;
  readonly caller: Side;
  readonly callee: Side;
  /** Sends from one side; gives what came to the other. */
  pass(from: Side, payload: Buffer, options?: Partial<FrameOptions>): Promise<Frame>;
  send(from: Side, payload: Buffer, options?: Partial<FrameOptions>): void;
  /** Bytes of the payloads that were sent so far, each an element. */
  readonly sent: readonly number[];
  /** Lets packets go both ways until none of them is seen by the relay's process. */
  settle(): Promise<void>;
}

export interface CallOptions {
  readonly caller?: Endpoint;
  readonly callee?: Endpoint;
  /** Of the media stream; default RTP/AVP. */
  readonly proto?: string;
  /** Of the caller's media stream. */
  readonly callerAttributes?: readonly string[];
  readonly onSilence?: () => void;
}

/** A call between two sides behind the relay's cards, both of which tell the truth in their SDP. */
export async function kernelCall(
  network: RelayNetwork,
  relay: Relay,
  options: CallOptions = {},
): Promise<Call> {
  const callerAt = options.caller ?? { address: '10.91.0.2', port: 4000 };
  const calleeAt = options.callee ?? { address: '10.91.0.3', port: 5000 };
  const stream = ({ address, port }: Endpoint, attributes: readonly string[] = []): string =>
    sdp(address, { port, proto: options.proto ?? 'RTP/AVP', attributes });
  const session = relay.createSession('call', { onSilence: () => options.onSilence?.() });
  const [towardsCaller, towardsCallee] = [identityFor(callerAt), identityFor(calleeAt)];
  const offer = session.rewrite(
    stream(callerAt, options.callerAttributes),
    'offer',
    'caller',
    'b',
    towardsCaller,
    towardsCallee,
  );
  const answer = session.rewrite(stream(calleeAt), 'answer', 'callee', 'b', towardsCallee, towardsCaller);
  await relay.flush();
  const side = (at: Endpoint, port: number): Side => {
    const isNear = network.near && isBehindFirst(at.address);
    return {
      wire: isNear ? network.near : network.far,
      mac: isNear ? network.p0.mac : network.p1.mac,
      relayMac: isNear ? network.r0.mac : network.r1.mac,
      at,
      relay: { address: identityFor(at).boundAddress, port },
    };
  };
  const caller = side(callerAt, portsOf(answer)[0]!);
  const callee = side(calleeAt, portsOf(offer)[0]!);
  const sent: number[] = [];
  const send = (from: Side, payload: Buffer, more: Partial<FrameOptions> = {}): void => {
    sent.push(payload.length);
    from.wire.send({
      source: from.at.address,
      sourcePort: from.at.port,
      destination: from.relay.address,
      destinationPort: from.relay.port,
      sourceMac: from.mac,
      destinationMac: from.relayMac,
      payload,
      ...more,
    });
  };
  const pass = (from: Side, payload: Buffer, more?: Partial<FrameOptions>): Promise<Frame> => {
    send(from, payload, more);
    return (from === caller ? callee : caller).wire.next();
  };
  const settle = async (): Promise<void> => {
    const deadline = performance.now() + settleMs;
    while (performance.now() < deadline) {
      const there = await pass(caller, rtp('settle'));
      const back = await pass(callee, rtp('settle'));
      if (!sentBySocket(there) && !sentBySocket(back)) return;
    }
    throw new Error('the flows of the call are not taken into the kernel');
  };
  return { session, answer, caller, callee, pass, send, sent, settle };
}

/** True for a packet that the relay's process sent, and not the kernel by itself. */
export function sentBySocket({ ttl }: Frame): boolean {
  return ttl === socketTtl;
}

function isBehindFirst(address: string): boolean {
  return address.startsWith('10.91.') || address.startsWith('fd00:91:');
}

export function identityFor({ address }: Endpoint): MediaIdentity {
  const net = isBehindFirst(address) ? 91 : 92;
  const own = address.includes(':') ? `fd00:${net}::1` : `10.${net}.0.1`;
  return { boundAddress: own, advertisedAddress: own };
}

/** Looks again at every turn of the event loop, for a time in which the counters are read several times. */
export async function until(holds: () => boolean, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    assert.ok(performance.now() < deadline, 'it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
