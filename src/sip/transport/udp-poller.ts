import { performance } from 'node:perf_hooks';
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT,
  EPOLLIN,
  EPOLLOUT,
  type Libc,
  type Readiness,
} from '../../net/libc.ts';
import { awaitedAnswers } from './awaited-answers.ts';
import { RECEIVE_WAIT_MS } from './udp-socket.ts';

/** A socket that the poller looks after. */
export interface Polled {
  readonly fd: number;
  /** True while something waits for the socket to take it. */
  readonly blocked: boolean;
  /** Takes what has come, up to a bound; returns how many datagrams that were. With `waits` it waits for the first. */
  receive(waits: boolean): number;
  /** Hands over what was collected to be sent. */
  flush(): void;
}

/** How long the thread stays away from Node's loop and waits for more: timers and other work wait that long at most. */
const AWAY_MS = 20;
/** Where so many came at once there are more to come: they are let gather for a millisecond. */
const GATHER_FROM = 2;
const GATHER_MS = 1;
const EVENTS = 64;

/**
 * Watches all UDP sockets of the thread. A wake-up by Node's loop costs more than all that is done for a message,
 * and messages come in flocks: those of one call, those of many calls. So after a wake-up the thread lingers in
 * epoll_wait(2), asleep and woken at once by the next message, and returns to the loop when its time is up, or when
 * a message waits for an answer that the loop has to bring.
 */
export class UdpPoller {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #events: Int32Array = new Int32Array(new ArrayBuffer(EVENTS * 16));
  readonly #eventsAt: number;
  readonly #readiness: Readiness;
  readonly #polled = new Map<number, Polled>();
  /** The only one, where there is one alone. */
  #only: Polled | undefined;
  /** The first `#flushCount` of them. No Set: emptying one again and again makes V8 build it anew each time. */
  readonly #toFlush: (Polled | undefined)[] = [];
  #flushCount = 0;
  #away = false;
  #flushPlanned = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#epoll = libc.epollCreate(EPOLL_CLOEXEC);
    this.#eventsAt = libc.addressOf(new Uint8Array(this.#events.buffer));
    this.#readiness = libc.watch(this.#epoll, () => this.#wake());
  }

  get size(): number {
    return this.#polled.size;
  }

  add(polled: Polled): void {
    this.#polled.set(polled.fd, polled);
    this.#only = this.#polled.size === 1 ? polled : undefined;
    this.#control(EPOLL_CTL_ADD, polled.fd, EPOLLIN);
  }

  /** To be called before the descriptor is closed. */
  remove(polled: Polled): void {
    if (!this.#polled.delete(polled.fd)) return;
    this.#control(EPOLL_CTL_DEL, polled.fd, 0);
    this.#only = undefined;
    if (this.#polled.size === 1) for (const last of this.#polled.values()) this.#only = last;
  }

  /** Flushes it soon: at the end of the round that is being served, else at the end of this turn of the loop. */
  flushSoon(polled: Polled): void {
    this.#noteFlush(polled);
    if (this.#away || this.#flushPlanned) return;
    // Timers fire in one turn of the loop and answers of asynchronous work come in flocks: one system call.
    this.#flushPlanned = true;
    setImmediate(this.#flushAll);
  }

  /** Watches for room as well while something waits for it. */
  watchWritable(polled: Polled): void {
    this.#control(EPOLL_CTL_MOD, polled.fd, polled.blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  close(): void {
    this.#readiness.close();
    this.#libc.close(this.#epoll);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#events[EPOLL_EVENT.events / 4] = events;
    this.#events[EPOLL_EVENT.data / 4] = fd;
    this.#events[EPOLL_EVENT.data / 4 + 1] = 0;
    this.#libc.epollControl(this.#epoll, operation, fd, this.#eventsAt);
  }

  #wake(): void {
    const start = performance.now();
    let now = start;
    let timeoutMs = 0;
    this.#away = true;
    do {
      const roundStart = now;
      const count = this.#round(timeoutMs);
      if (count < 0) break;
      now = performance.now();
      // A round that took its time is followed at once, so that nobody waits while messages queue.
      const elapsed = now - roundStart;
      if (count >= GATHER_FROM && elapsed < GATHER_MS) {
        this.#libc.poll(0, 0, GATHER_MS);
        now = performance.now();
      }
      timeoutMs = Math.floor(AWAY_MS - (now - start));
    } while (timeoutMs > 0 && awaitedAnswers.count === 0 && this.#polled.size > 0);
    this.#away = false;
  }

  /** Serves what is ready; returns the number of datagrams, -1 where nothing became ready in time. */
  #round(timeoutMs: number): number {
    const only = this.#only;
    // A socket that is alone says by itself what has come, and waits as well: one system call instead of two.
    if (only && !only.blocked && (timeoutMs === 0 || timeoutMs >= RECEIVE_WAIT_MS)) {
      const count = only.receive(timeoutMs > 0);
      if (count > 0) {
        this.#noteFlush(only);
        this.#flushAll();
      }
      return count;
    }
    const ready = this.#libc.epollWait(this.#epoll, this.#eventsAt, EVENTS, timeoutMs);
    if (ready <= 0) return -1;
    let count = 0;
    for (let i = 0; i < ready; i++) {
      const polled = this.#polled.get(this.#events[(i * EPOLL_EVENT.size + EPOLL_EVENT.data) / 4]!);
      if (!polled) continue;
      const wasBlocked = polled.blocked;
      count += polled.receive(false);
      this.#noteFlush(polled);
      if (wasBlocked) polled.flush();
    }
    this.#flushAll();
    return count;
  }

  #noteFlush(polled: Polled): void {
    for (let n = 0; n < this.#flushCount; n++) if (this.#toFlush[n] === polled) return;
    this.#toFlush[this.#flushCount++] = polled;
  }

  readonly #flushAll = (): void => {
    this.#flushPlanned = false;
    // None comes back while they are flushed; one that was removed meanwhile has nothing to send.
    const count = this.#flushCount;
    this.#flushCount = 0;
    for (let n = 0; n < count; n++) {
      const polled = this.#toFlush[n]!;
      this.#toFlush[n] = undefined;
      const wasBlocked = polled.blocked;
      polled.flush();
      if (polled.blocked !== wasBlocked && this.#polled.has(polled.fd)) this.watchWritable(polled);
    }
  };
}
