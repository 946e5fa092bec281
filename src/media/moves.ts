import { familyOf } from '../net/address.ts';
import type { Forwarder } from './forwarder.ts';
import type { MediaLeg } from './media-leg.ts';
import type { MediaLog } from './media-log.ts';
import type { PortPair } from './port-pair.ts';

interface Move {
  readonly callId: string;
  readonly leg: MediaLeg;
  readonly pair: PortPair;
  readonly from: string;
  readonly to: string;
}

/** Calls that a log line names. */
const shownLost = 10;

/**
 * Pairs of ports that follow a public address to another card, where they need the same numbers. Where another pair
 * that moves as well still has them, this one waits until that has left; where each has what the other needs, one waits
 * on loopback meanwhile, from where nothing leaves: a packet or two are lost, and the calls are not.
 */
export class Moves {
  readonly #forwarder: Forwarder;
  readonly #log: MediaLog;
  readonly #calls = new Set<string>();
  #waiting: Move[] = [];
  #ports = 0;

  constructor(forwarder: Forwarder, log: MediaLog) {
    this.#forwarder = forwarder;
    this.#log = log;
  }

  add(callId: string, leg: MediaLeg, pair: PortPair, to: string): void {
    this.#waiting.push({ callId, leg, pair, from: pair.boundAddress, to });
  }

  /** Moves all that can be moved at once. True where some could not. */
  begin(): boolean {
    this.#pass();
    if (this.#waiting.length === 0) this.#tell();
    return this.#waiting.length > 0;
  }

  /** Moves the others as ports become free, tells of it, and resolves when no more can be done. */
  async end(): Promise<void> {
    for (let goesOn = true; goesOn && this.#waiting.length > 0; ) {
      await this.#forwarder.left();
      goesOn = this.#pass() || this.#stepAside();
    }
    // Whose place was taken by a stranger meanwhile goes back to its own.
    for (const { leg, pair, from } of this.#waiting) if (pair.boundAddress !== from) leg.move(pair, from);
    this.#forwarder.deliver();
    this.#tell();
  }

  /** True where something moved or has ended. */
  #pass(): boolean {
    const before = this.#waiting;
    this.#waiting = before.filter((move) => {
      const { callId, leg, pair, to } = move;
      if (pair.closed) return false;
      if (!leg.move(pair, to)) return true;
      this.#calls.add(callId);
      this.#ports += pair.hasRtcp ? 2 : 1;
      return false;
    });
    this.#forwarder.deliver();
    return this.#waiting.length < before.length;
  }

  /** Of those that wait for each other one leaves its place; with the same number there is room for one alone. */
  #stepAside(): boolean {
    const wanted = new Set(this.#waiting.map(({ pair, to }) => `${to} ${pair.port}`));
    let moved = false;
    for (const { leg, pair, from } of this.#waiting) {
      const isOwn = pair.boundAddress === from && wanted.has(`${from} ${pair.port}`);
      if (isOwn && leg.move(pair, familyOf(from) === 'ipv6' ? '::1' : '127.0.0.1')) moved = true;
    }
    this.#forwarder.deliver();
    return moved;
  }

  #tell(): void {
    const [calls, ports] = [this.#calls.size, this.#ports];
    if (ports > 0) this.#log.info('media ports followed a public address to another card', { calls, ports });
    const lost = [...new Set(this.#waiting.map(({ callId }) => callId))];
    if (lost.length === 0) return;
    this.#log.warn(
      'a public address moved to where the ports of some calls are taken: what is sent to them there is lost until a re-INVITE tells others',
      { calls: lost.length, callIds: lost.slice(0, shownLost) },
    );
  }
}
