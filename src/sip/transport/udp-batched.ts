import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type Endpoint, familyOf, formatEndpoint } from '../../net/address.ts';
import { type Libc, loadLibc, MSG_DONTWAIT, MSG_WAITFORONE } from '../../net/libc.ts';
import type { Listener } from '../../net/listener.ts';
import { LogLimit } from '../../net/log-limit.ts';
import { SOCKADDR_LENGTH } from '../../net/sockaddr.ts';
import { DatagramArena } from './datagram-arena.ts';
import { isAudibleStun, isNotSip } from './not-sip.ts';
import { PeerCache } from './peer-cache.ts';
import type { MessageHandler, MessageText, StunHandler, Transport, TransportCounters } from './transport.ts';
import { boundListener, limitedWarn, type UdpOptions, type Warn, zeroCounters } from './udp-options.ts';
import { UdpOutbox } from './udp-outbox.ts';
import { type Polled, UdpPoller } from './udp-poller.ts';
import { openUdpSocket } from './udp-socket.ts';

const BATCH = 32;
/** Batches for each look: what is left is found by the next, after the other sockets. */
const BATCHES_PER_LOOK = 4;
const { EAGAIN, EINTR } = constants.errno;

/** One for all sockets of the thread. It is held here: nothing else refers to what only waits for datagrams. */
let poller: UdpPoller | undefined;

/** UDP by recvmmsg and sendmmsg on a socket of our own. Throws LibcError and TransportError when opened. */
export class UdpBatched implements Transport, Polled {
  readonly listener: Listener;
  readonly reliable: boolean = false;
  readonly counters: TransportCounters = zeroCounters();
  onStun: StunHandler | undefined;
  readonly fd: number;
  readonly #libc: Libc;
  readonly #handler: MessageHandler;
  readonly #limit: LogLimit;
  readonly #warn: Warn;
  readonly #inbox: DatagramArena;
  readonly #peers: PeerCache;
  readonly #outbox: UdpOutbox;
  readonly #poller: UdpPoller;
  #closed = false;

  constructor(listener: Listener, handler: MessageHandler, options: UdpOptions) {
    const libc = loadLibc();
    const { fd, port } = openUdpSocket(libc, listener.bound);
    const family = familyOf(listener.bound.address)!;
    this.listener = boundListener(listener, port);
    this.#libc = libc;
    this.fd = fd;
    this.#handler = handler;
    this.#limit = new LogLimit(options.clock);
    this.#warn = limitedWarn(options.log, this.#limit);
    this.#inbox = new DatagramArena(libc, BATCH, SOCKADDR_LENGTH[family]);
    this.#peers = new PeerCache(family);
    this.#outbox = new UdpOutbox(libc, fd, family, this.#peers, this.counters, this.#warn);
    poller ??= new UdpPoller(libc);
    this.#poller = poller;
    this.#poller.add(this);
  }

  get blocked(): boolean {
    return this.#outbox.blocked;
  }

  send(text: MessageText, destination: Endpoint): void {
    if (this.#closed) return;
    this.#outbox.add(text, destination);
    this.#poller.flushSoon(this);
  }

  flush(): void {
    if (!this.#closed) this.#outbox.flush();
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#outbox.flush();
      this.#closed = true;
      this.#poller.remove(this);
      this.#libc.close(this.fd);
      this.#limit.close();
      if (this.#poller.size === 0) {
        this.#poller.close();
        poller = undefined;
      }
    }
    return Promise.resolve();
  }

  receive(waits: boolean): number {
    let total = 0;
    for (let batch = 0; batch < BATCHES_PER_LOOK && !this.#closed; batch++) {
      const flags = waits && batch === 0 ? MSG_WAITFORONE : MSG_DONTWAIT;
      const count = this.#libc.recvmmsg(this.fd, this.#inbox.headers, BATCH, flags, 0);
      if (count < 0) {
        const errno = this.#libc.errno();
        if (errno === EAGAIN) break;
        if (errno === EINTR) continue;
        this.counters.receiveErrors++;
        this.#warn(
          'receive',
          { listener: formatEndpoint(this.listener.bound), reason: getSystemErrorName(-errno) },
          'UDP receive failed',
        );
        break;
      }
      for (let slot = 0; slot < count && !this.#closed; slot++) this.#deliver(slot);
      total += count;
      if (count < BATCH) break;
    }
    return total;
  }

  #deliver(slot: number): void {
    const inbox = this.#inbox;
    const length = inbox.received(slot);
    if (isNotSip(inbox.bytes, inbox.data(slot), length)) {
      this.counters.ignored++;
      if (this.onStun && isAudibleStun(inbox.bytes, inbox.data(slot), length)) {
        // Copied: the handler may keep it, and the next datagram comes to the same place.
        const bytes = Buffer.from(inbox.bytes.subarray(inbox.data(slot), inbox.data(slot) + length));
        this.onStun(bytes, this.#peers.source(inbox.words, inbox.name(slot)));
      }
      return;
    }
    const source = this.#peers.source(inbox.words, inbox.name(slot));
    this.counters.received++;
    try {
      this.#handler(inbox.read(slot, length), source, this);
    } catch (error) {
      this.counters.handlerErrors++;
      this.#warn(
        'handler',
        { err: error, source: formatEndpoint(source) },
        'A message from UDP met an error',
      );
    }
  }
}
