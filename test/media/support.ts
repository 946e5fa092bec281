import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type {
  ForwarderKind,
  MediaIdentity,
  MediaRelay,
  MediaSession,
  Party,
} from '../../src/media/media-contract.ts';
import type { MediaLog } from '../../src/media/media-log.ts';
import { type MediaRelayOptions, startMediaRelay } from '../../src/media/media-relay.ts';
import type { Endpoint } from '../../src/net/address.ts';
import { parseSessionDescription } from '../../src/sdp/parse-session-description.ts';
import { connectionOf } from '../../src/sdp/session-description.ts';
import { ManualClock } from '../support/manual-clock.ts';

/**
 * All that the user may run. On the loopback the kernel forwards nothing by itself, so for its two kinds this is
 * the way of the packets that it leaves to the sockets; test/media/kernel/ has the others.
 */
export const kinds: readonly ForwarderKind[] =
  process.getuid?.() === 0 ? ['koffi', 'dgram', 'kernel', 'kernel-xdp'] : ['koffi', 'dgram'];

export const silentLog: MediaLog = { debug: () => {}, info: () => {}, warn: () => {} };

/** A loopback address that no other process uses, so that no port of the relay is ever taken by chance. */
export const relayAddress: string = `127.${((process.pid >> 8) % 254) + 1}.${process.pid % 256}.1`;

/** The relay binds one address and claims public ones. */
export const towardsCaller: MediaIdentity = { boundAddress: relayAddress, advertisedAddress: '198.51.100.1' };
export const towardsCallee: MediaIdentity = { boundAddress: relayAddress, advertisedAddress: '198.51.100.2' };

/** A relay that ends with the test; its clock is moved by hand. */
export async function relayFor(
  t: TestContext,
  options: Partial<MediaRelayOptions> = {},
): Promise<{ relay: MediaRelay; clock: ManualClock }> {
  const clock = new ManualClock();
  const relay = await startMediaRelay({ log: silentLog, clock, ...options });
  t.after(() => relay.close());
  return { relay, clock };
}

/** What the relay makes of a description, asked as the agent asks it. */
export function anchor(
  session: MediaSession,
  kind: 'offer' | 'answer',
  from: Party,
  text: string,
  { branch = 'b', caller = towardsCaller }: { branch?: string; caller?: MediaIdentity } = {},
): string {
  return from === 'caller'
    ? session.rewrite(text, kind, from, branch, caller, towardsCallee)
    : session.rewrite(text, kind, from, branch, towardsCallee, caller);
}

/** An RTP phone: one socket, what came to it is read in order. */
export class Phone {
  readonly socket: Socket;
  readonly #arrived: { payload: Buffer; source: Endpoint }[] = [];
  #waiting: ((packet: { payload: Buffer; source: Endpoint }) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (payload, { address, port }) => {
      const packet = { payload, source: { address, port } };
      const waiting = this.#waiting.shift();
      if (waiting) waiting(packet);
      else this.#arrived.push(packet);
    });
  }

  static async open(t: TestContext, address = '127.0.0.1', port = 0): Promise<Phone> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.bind(port, address);
    await once(socket, 'listening');
    const phone = new Phone(socket);
    t.after(() => phone.socket.close());
    return phone;
  }

  get address(): string {
    return this.socket.address().address;
  }

  get port(): number {
    return this.socket.address().port;
  }

  /** Resolves when the packet is in the kernel. */
  async send(
    payload: Buffer,
    port: number,
    address: string = this.address === '::1' ? '::1' : relayAddress,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.socket.send(payload, port, address, (error) => (error ? reject(error) : resolve()));
    await promise;
  }

  next(): Promise<{ payload: Buffer; source: Endpoint }> {
    const packet = this.#arrived.shift();
    if (packet) return Promise.resolve(packet);
    const { promise, resolve } = Promise.withResolvers<{ payload: Buffer; source: Endpoint }>();
    this.#waiting.push(resolve);
    return promise;
  }

  /** What came and was not read. */
  get unread(): number {
    return this.#arrived.length;
  }
}

/** An RTP packet (RFC 3550 5.1) with a text as payload. */
export function rtp(text: string): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  return Buffer.concat([header, Buffer.from(text)]);
}

/** An RTCP receiver report without reports (RFC 3550 6.4.2) and a text after it. */
export function rtcp(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 0]), Buffer.from(text)]);
}

export interface StreamText {
  readonly port: number;
  readonly media?: string;
  readonly proto?: string;
  readonly attributes?: readonly string[];
}

/** A session description of a phone at `address`. */
export function sdp(address: string, ...streams: readonly (StreamText | number)[]): string {
  const type = address.includes(':') ? 'IP6' : 'IP4';
  const lines = [
    'v=0',
    `o=phone 1 1 IN ${type} ${address}`,
    's=-',
    `c=IN ${type} ${address}`,
    't=0 0',
    ...streams.flatMap((stream) => {
      const {
        port,
        media = 'audio',
        proto = 'RTP/AVP',
        attributes = [],
      } = typeof stream === 'number' ? { port: stream } : stream;
      return [`m=${media} ${port} ${proto} 0`, ...attributes.map((attribute) => `a=${attribute}`)];
    }),
  ];
  return lines.map((line) => `${line}\r\n`).join('');
}

/** The ports that stand in a description, one for each m= line. */
export function portsOf(text: string): number[] {
  return parseSessionDescription(text).media.map((section) => section.port);
}

/** The connection addresses that stand in a description, one for each m= line. */
export function addressesOf(text: string): (string | undefined)[] {
  const description = parseSessionDescription(text);
  return description.media.map((section) => connectionOf(description, section)?.address);
}
