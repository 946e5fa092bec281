import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type Endpoint, familyOf, formatEndpoint } from '../../net/address.ts';
import { type Libc, loadLibc, MSG_DONTWAIT, type Readiness } from '../../net/libc.ts';
import type { Listener } from '../../net/listener.ts';
import { LogLimit } from '../../net/log-limit.ts';
import { SOCKADDR_LENGTH } from '../../net/sockaddr.ts';
import { DatagramArena } from './datagram-arena.ts';
import { isNotSip } from './not-sip.ts';
import { PeerCache } from './peer-cache.ts';
import type { MessageHandler, MessageText, Transport, TransportCounters } from './transport.ts';
import { boundListener, limitedWarn, type UdpOptions, type Warn, zeroCounters } from './udp-options.ts';
import { UdpOutbox } from './udp-outbox.ts';
import { openUdpSocket, takeSocketError } from './udp-socket.ts';

const BATCH = 32;
/** Batches for each wake: what is left wakes us again, after the timers and the other sockets. */
const BATCHES_PER_WAKE = 4;
/** From so many messages a millisecond on the socket is looked after by a timer instead of being watched… */
const PACED_FROM = 8;
/** …until so many looks in a row have found fewer than half of that. */
const PACED_QUIET_LOOKS = 3;
const PACE_MS = 1;
const RATE_WINDOW_MS = 4;
const RETRY_WATCH_MS = 100;
const { EAGAIN, EINTR } = constants.errno;

/** Nothing in JS refers to a transport that only waits for datagrams; what is collected would fall silent. */
const open = new Set<UdpBatched>();

/**
 * UDP by recvmmsg and sendmmsg on a socket of our own. Throws LibcError and TransportError when opened.
 *
 * Waking up for one datagram costs more than all the rest that is done here for it. While many come, the
 * socket is therefore not watched but looked after each millisecond, which takes them by the batch; a message
 * then waits a millisecond at most. While few come, each wakes us at once.
 */
export class UdpBatched implements Transport {
  readonly listener: Listener;
  readonly reliable: boolean = false;
  readonly counters: TransportCounters = zeroCounters();
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #handler: MessageHandler;
  readonly #limit: LogLimit;
  readonly #warn: Warn;
  readonly #inbox: DatagramArena;
  readonly #peers: PeerCache;
  readonly #outbox: UdpOutbox;
  readonly #readiness: Readiness;
  /** The next look while paced, or the next attempt to watch after an error. */
  #timer: NodeJS.Timeout | undefined;
  #paced = false;
  #quietLooks = 0;
  #windowStart = 0;
  #windowCount = 0;
  #watchesWritable = false;
  #receiving = false;
  #flushPlanned = false;
  #closed = false;

  constructor(listener: Listener, handler: MessageHandler, options: UdpOptions) {
    const libc = loadLibc();
    const { fd, port } = openUdpSocket(libc, listener.bound);
    const family = familyOf(listener.bound.address)!;
    this.listener = boundListener(listener, port);
    this.#libc = libc;
    this.#fd = fd;
    this.#handler = handler;
    this.#limit = new LogLimit(options.clock);
    this.#warn = limitedWarn(options.log, this.#limit);
    this.#inbox = new DatagramArena(libc, BATCH, SOCKADDR_LENGTH[family]);
    this.#peers = new PeerCache(family);
    this.#outbox = new UdpOutbox(libc, fd, family, this.#peers, this.counters, this.#warn);
    this.#readiness = libc.watch(fd, (status) => this.#wake(status));
    open.add(this);
  }

  send(text: MessageText, destination: Endpoint): void {
    if (this.#closed) return;
    this.#outbox.add(text, destination);
    if (!this.#receiving && !this.#flushPlanned) {
      // Timers fire in one turn of the loop and answers of asynchronous work come in flocks: one system call.
      this.#flushPlanned = true;
      setImmediate(this.#flush);
    }
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#outbox.flush();
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#readiness.close();
      this.#libc.close(this.#fd);
      this.#limit.close();
      open.delete(this);
    }
    return Promise.resolve();
  }

  #wake(status: number): void {
    if (this.#closed) return;
    if (status < 0) {
      this.#watchLater(status);
      return;
    }
    const count = this.#receive();
    if (count > 0 && !this.#closed && this.#rate(count) >= PACED_FROM) {
      this.#paced = true;
      this.#quietLooks = 0;
      this.#watch();
      this.#timer = setTimeout(this.#look, PACE_MS);
    }
  }

  readonly #look = (): void => {
    const start = performance.now();
    const count = this.#receive();
    if (this.#closed) return;
    this.#quietLooks = count < PACED_FROM / 2 ? this.#quietLooks + 1 : 0;
    if (this.#quietLooks >= PACED_QUIET_LOOKS) {
      this.#paced = false;
      this.#watch();
    } else if (count === BATCH * BATCHES_PER_WAKE || performance.now() - start >= PACE_MS) {
      // Waiting as well would leave the processor idle while messages queue.
      setImmediate(this.#look);
    } else {
      this.#timer?.refresh();
    }
  };

  /** Messages a millisecond over the last few milliseconds; 0 until they are over. */
  #rate(count: number): number {
    const now = performance.now();
    this.#windowCount += count;
    const elapsed = now - this.#windowStart;
    if (elapsed < RATE_WINDOW_MS) return 0;
    const rate = this.#windowCount / elapsed;
    this.#windowStart = now;
    this.#windowCount = 0;
    return rate;
  }

  #watch(): void {
    this.#watchesWritable = !this.#paced && this.#outbox.blocked;
    this.#readiness.watch({ readable: !this.#paced, writable: this.#watchesWritable });
  }

  /** Takes what has come, up to a bound, and sends what was answered. Returns how many datagrams came. */
  #receive(): number {
    let total = 0;
    this.#receiving = true;
    for (let batch = 0; batch < BATCHES_PER_WAKE && !this.#closed; batch++) {
      const count = this.#libc.recvmmsg(this.#fd, this.#inbox.headers, BATCH, MSG_DONTWAIT, 0);
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
    this.#receiving = false;
    if (!this.#closed) this.#flush();
    return total;
  }

  #deliver(slot: number): void {
    const inbox = this.#inbox;
    const length = inbox.received(slot);
    if (isNotSip(inbox.bytes, inbox.data(slot), length)) {
      this.counters.ignored++;
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

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    if (this.#closed) return;
    this.#outbox.flush();
    if (!this.#paced && this.#outbox.blocked !== this.#watchesWritable) this.#watch();
  };

  /** libuv stops watching a socket on which an error hangs (EBADF is its word for it). */
  #watchLater(status: number): void {
    const errno = takeSocketError(this.#libc, this.#fd);
    this.counters.receiveErrors++;
    this.#warn(
      'receive',
      {
        listener: formatEndpoint(this.listener.bound),
        reason: getSystemErrorName(errno === 0 ? status : -errno),
      },
      'UDP socket reports an error',
    );
    // Not the injected clock: its timers let the process end, and this one holds a listener that is open.
    this.#timer = setTimeout(() => this.#watch(), RETRY_WATCH_MS);
  }
}
