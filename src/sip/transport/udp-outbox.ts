import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type Endpoint, type Family, formatEndpoint } from '../../net/address.ts';
import { type Libc, MSG_DONTWAIT } from '../../net/libc.ts';
import { familyAndPort, SOCKADDR_LENGTH } from '../../net/sockaddr.ts';
import { DatagramArena } from './datagram-arena.ts';
import type { PeerCache } from './peer-cache.ts';
import type { TransportCounters } from './transport.ts';
import { MAX_PAYLOAD, MAX_WAITING_BYTES, MAX_WAITING_MESSAGES, type Warn } from './udp-options.ts';

const SLOTS = 32;
const { EAGAIN, EINTR } = constants.errno;

interface Waiting {
  readonly text: string;
  readonly sockaddr: Int32Array;
  readonly destination: Endpoint;
}

/**
 * Collects what leaves through one UDP socket and hands it to the system in batches (sendmmsg). What the
 * system does not take at once waits, within bounds, in order.
 */
export class UdpOutbox {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #family: Family;
  readonly #peers: PeerCache;
  readonly #counters: TransportCounters;
  readonly #warn: Warn;
  readonly #arena: DatagramArena;
  readonly #destinations = new Array<Endpoint | undefined>(SLOTS).fill(undefined);
  #head = 0;
  #filled = 0;
  #blocked = false;
  #waiting: Waiting[] = [];
  #waitingHead = 0;
  #waitingBytes = 0;

  constructor(
    libc: Libc,
    fd: number,
    family: Family,
    peers: PeerCache,
    counters: TransportCounters,
    warn: Warn,
  ) {
    this.#libc = libc;
    this.#fd = fd;
    this.#family = family;
    this.#peers = peers;
    this.#counters = counters;
    this.#warn = warn;
    this.#arena = new DatagramArena(libc, SLOTS, SOCKADDR_LENGTH[family]);
  }

  /** True while the socket's buffer is full: call `flush` when the socket is writable. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Takes a message; it leaves at the next `flush`, or at once where that fills a batch. */
  add(text: string, destination: Endpoint): void {
    const sockaddr = this.#peers.destination(destination.address);
    if (sockaddr === undefined || !(destination.port > 0 && destination.port < 65536)) {
      this.#refuse(destination, `no ${this.#family} address and port`);
    } else if (text.length > MAX_PAYLOAD[this.#family]) {
      this.#refuse(destination, `${text.length} bytes are more than a datagram holds`);
    } else if (this.#filled < SLOTS && this.#waiting.length === 0) {
      this.#put(text, sockaddr, destination);
      if (this.#filled === SLOTS && !this.#blocked) this.flush();
    } else {
      this.#wait(text, sockaddr, destination);
    }
  }

  /** Hands over what is collected, as far as the system takes it. */
  flush(): void {
    this.#blocked = false;
    do {
      while (this.#head < this.#filled) {
        const count = this.#libc.sendmmsg(
          this.#fd,
          this.#arena.header(this.#head),
          this.#filled - this.#head,
          MSG_DONTWAIT,
        );
        if (count > 0) {
          this.#counters.sent += count;
          this.#head += count;
          continue;
        }
        const errno = this.#libc.errno();
        if (errno === EINTR) continue;
        if (errno === EAGAIN) {
          this.#blocked = true;
          return;
        }
        // The error is that of the first message: unroutable, forbidden by a filter. The others go on.
        this.#refuse(this.#destinations[this.#head]!, getSystemErrorName(-errno));
        this.#head++;
      }
      this.#head = 0;
      this.#filled = 0;
    } while (this.#refill());
  }

  #put(text: string, sockaddr: Int32Array, destination: Endpoint): void {
    const slot = this.#filled++;
    const { words } = this.#arena;
    const name = this.#arena.name(slot);
    words[name] = familyAndPort(this.#family, destination.port);
    words[name + 1] = sockaddr[1]!;
    if (this.#family === 'ipv6') for (let i = 2; i < 7; i++) words[name + i] = sockaddr[i]!;
    this.#destinations[slot] = destination;
    this.#arena.write(slot, text);
  }

  #wait(text: string, sockaddr: Int32Array, destination: Endpoint): void {
    const count = this.#waiting.length - this.#waitingHead;
    if (count >= MAX_WAITING_MESSAGES || this.#waitingBytes + text.length > MAX_WAITING_BYTES) {
      this.#counters.sendOverflows++;
      this.#warn(
        'overflow',
        { waiting: count, bytes: this.#waitingBytes },
        'UDP messages dropped: the system takes none',
      );
      return;
    }
    this.#waiting.push({ text, sockaddr, destination });
    this.#waitingBytes += text.length;
  }

  #refill(): boolean {
    const waiting = this.#waiting;
    while (this.#filled < SLOTS && this.#waitingHead < waiting.length) {
      const next = waiting[this.#waitingHead]!;
      this.#waitingHead++;
      this.#waitingBytes -= next.text.length;
      this.#put(next.text, next.sockaddr, next.destination);
    }
    if (this.#waitingHead === waiting.length) {
      if (waiting.length > 0) this.#waiting = [];
      this.#waitingHead = 0;
    } else if (this.#waitingHead >= MAX_WAITING_MESSAGES) {
      this.#waiting = waiting.slice(this.#waitingHead);
      this.#waitingHead = 0;
    }
    return this.#filled > 0;
  }

  #refuse(destination: Endpoint, reason: string): void {
    this.#counters.sendErrors++;
    this.#warn('send', { destination: formatEndpoint(destination), reason }, 'UDP message not sent');
  }
}
