import type { Clock, Timer } from '../../net/clock.ts';

/** How late a timer may fire, as a part of its own time: half a second where that is 32 s. */
const patience = 1 / 64;

/** What a timer belongs to. */
export interface TimerOwner {
  timerFired(timer: SingleTimer): void;
}

/** Timers of one duration, in the order of their due time: a ring of which the head is the queue itself. */
interface Queue {
  readonly delayMs: number;
  readonly head: SingleTimer;
  clockTimer: Timer | undefined;
}

/** A timer that is at most once pending; made once for each transaction, started and stopped as often as needed. */
export class SingleTimer {
  readonly #owner: TimerOwner | undefined;
  /** Used by the queues. */
  next: SingleTimer | undefined;
  previous: SingleTimer | undefined;
  due = 0;

  constructor(owner: TimerOwner | undefined) {
    this.#owner = owner;
  }

  get pending(): boolean {
    return this.next !== undefined;
  }

  fire(): void {
    this.#owner?.timerFired(this);
  }
}

/**
 * The timers of all transactions. A call starts a dozen of them and stops most; there are only a few durations
 * (RFC 3261 table 4), so one clock timer for each duration serves them all and starting one is a link in a list.
 */
export class TimerQueues {
  readonly #clock: Clock;
  readonly #queues = new Map<number, Queue>();
  #pending = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Timers that will fire if nothing stops them. */
  get pending(): number {
    return this.#pending;
  }

  start(timer: SingleTimer, delayMs: number): void {
    this.stop(timer);
    let queue = this.#queues.get(delayMs);
    if (!queue) {
      const head = new SingleTimer(undefined);
      head.next = head;
      head.previous = head;
      queue = { delayMs, head, clockTimer: undefined };
      this.#queues.set(delayMs, queue);
    }
    const { head } = queue;
    timer.due = this.#clock.uptime() + delayMs;
    timer.next = head;
    timer.previous = head.previous!;
    head.previous!.next = timer;
    head.previous = timer;
    this.#pending++;
    queue.clockTimer ??= this.#schedule(queue, delayMs);
  }

  stop(timer: SingleTimer): void {
    if (timer.next === undefined) return;
    timer.previous!.next = timer.next;
    timer.next.previous = timer.previous;
    timer.next = undefined;
    timer.previous = undefined;
    this.#pending--;
  }

  #schedule(queue: Queue, delayMs: number): Timer {
    return this.#clock.schedule(() => this.#expire(queue), delayMs);
  }

  #expire(queue: Queue): void {
    queue.clockTimer = undefined;
    const { head } = queue;
    const now = this.#clock.uptime();
    for (let timer = head.next!; timer !== head && timer.due <= now; timer = head.next!) {
      this.stop(timer);
      timer.fire();
    }
    // The clock timer was for the one that was first then; it may have been stopped since. Those that are due next
    // wait for some company: thousands of transactions end one after the other, and none of them minds the time.
    const first = head.next!;
    if (first !== head)
      queue.clockTimer ??= this.#schedule(queue, Math.max(first.due - now, queue.delayMs * patience));
  }
}
