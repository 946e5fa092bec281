import type { ListenerDiff } from '../identity/listener-diff.ts';
import type { Endpoint } from '../net/address.ts';
import type { Clock, Timer } from '../net/clock.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import type { CallsInProgress } from '../proxy/call-count.ts';
import type { Transport } from '../sip/transport/transport.ts';

export interface ListenerSetOptions {
  readonly clock: Clock;
  readonly calls: CallsInProgress;
  /** The requests that wait for their final response now, each by a name of its own. */
  readonly unanswered: () => ReadonlySet<string>;
  /** Binds the socket of a listener. */
  readonly open: (listener: Listener) => Promise<Transport>;
}

/** A socket that is not planned any more and serves what was begun through it. */
interface Retiring {
  readonly transport: Transport;
  /** The calls of the moment when it retired that have not been seen to end. */
  readonly calls: Set<string>;
  /** The requests of that moment that are not answered yet: a call may come of each. */
  readonly unanswered: Set<string>;
  readonly since: number;
}

/** A socket that is bound and waits to be told what it is called: until then it serves nobody. */
interface Held {
  /** Of the planned listener, whose port may be 0. */
  readonly key: string;
  readonly transport: Transport;
}

export interface Failure {
  readonly listener: Listener;
  readonly error: unknown;
}

/** No transaction lives longer than this after its final response (RFC 3261 17). */
const transactionsMs = 35_000;
const lookEveryMs = 5000;

/** The open sockets: those that are planned, those that wait for their name, and those that retire. */
export class ListenerSet {
  readonly #options: ListenerSetOptions;
  readonly #open = new Map<string, Transport>();
  readonly #retiring = new Map<string, Retiring>();
  #held: Held[] = [];
  #timer: Timer | undefined;

  constructor(options: ListenerSetOptions) {
    this.#options = options;
  }

  get listeners(): readonly Listener[] {
    return [...this.#open.values()].map((transport) => transport.listener);
  }

  get retiring(): readonly Listener[] {
    return [...this.#retiring.values()].map(({ transport }) => transport.listener);
  }

  transportOf(listener: Listener): Transport | undefined {
    const key = listenerKey(listener);
    return this.#open.get(key) ?? this.#retiring.get(key)?.transport;
  }

  byKey(key: string): Listener | undefined {
    return this.#open.get(key)?.listener;
  }

  isRetiring(listener: Listener): boolean {
    return this.#retiring.size > 0 && this.#retiring.has(listenerKey(listener));
  }

  /** True for a socket whose name is not known yet: nothing that comes there can be answered. */
  isHeld(transport: Transport): boolean {
    return this.#held.length > 0 && this.#held.some((held) => held.transport === transport);
  }

  /**
   * Binds the sockets of listeners whose name has to be found out first; `add` takes them up. One that cannot be bound
   * is missing: `add` says why.
   */
  async hold(listeners: readonly Listener[]): Promise<Map<Listener, Transport>> {
    const sockets = new Map<Listener, Transport>();
    for (const listener of listeners) {
      const key = listenerKey(listener);
      if (this.#retiring.has(key)) continue;
      const transport = await this.#options.open(listener).catch(() => undefined);
      if (!transport) continue;
      this.#held.push({ key, transport });
      sockets.set(listener, transport);
    }
    return sockets;
  }

  /** Closes what was held and not added. */
  async release(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    for (const { transport } of held) await transport.close();
  }

  /** Opens what is added, one after the other; calls `opened` before the next message can come. */
  async add(listeners: readonly Listener[], opened: () => void): Promise<Failure[]> {
    const failures: Failure[] = [];
    for (const listener of listeners) {
      const key = listenerKey(listener);
      const back = this.#retiring.get(key);
      try {
        const transport = this.#takeHeld(key) ?? back?.transport ?? (await this.#options.open(listener));
        this.#retiring.delete(key);
        transport.listener.advertised = withPort(listener.advertised, transport.listener.bound.port);
        this.#open.set(listenerKey(transport.listener), transport);
        opened();
      } catch (error) {
        failures.push({ listener, error });
      }
    }
    return failures;
  }

  /** The socket stays; only the name that it goes by changes. */
  readvertise({ readvertised }: Pick<ListenerDiff, 'readvertised'>): void {
    for (const { running, advertised } of readvertised) {
      running.advertised = withPort(advertised, running.bound.port);
    }
  }

  /** Takes listeners out of the plan. Those whose address the machine still has serve their calls to the end. */
  async retire(listeners: readonly Listener[], hasAddress: (address: string) => boolean): Promise<void> {
    const { calls, clock, unanswered } = this.#options;
    for (const listener of listeners) {
      const key = listenerKey(listener);
      const transport = this.#open.get(key);
      if (!transport) continue;
      this.#open.delete(key);
      this.#retiring.set(key, {
        transport,
        calls: new Set(calls.keys()),
        unanswered: new Set(unanswered()),
        since: clock.uptime(),
      });
    }
    for (const [key, { transport }] of this.#retiring) {
      if (!hasAddress(transport.listener.bound.address)) await this.#closeRetiring(key);
    }
    this.#look();
  }

  async close(): Promise<void> {
    if (this.#timer !== undefined) this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
    await this.release();
    const transports = [
      ...this.#open.values(),
      ...[...this.#retiring.values()].map((each) => each.transport),
    ];
    this.#open.clear();
    this.#retiring.clear();
    for (const transport of transports) await transport.close();
  }

  #takeHeld(key: string): Transport | undefined {
    const index = this.#held.findIndex((held) => held.key === key);
    return index < 0 ? undefined : this.#held.splice(index, 1)[0]?.transport;
  }

  #look(): void {
    const { clock, calls } = this.#options;
    if (this.#timer !== undefined) clock.cancel(this.#timer);
    this.#timer = undefined;
    if (this.#retiring.size === 0) return;
    const unanswered = this.#options.unanswered();
    for (const [key, retiring] of this.#retiring) {
      // One that rang when the socket retired may have been answered since. Which call came of it nobody can tell,
      // so all count: a socket that stays a little longer costs nothing.
      if (retiring.unanswered.size > 0) for (const call of calls.keys()) retiring.calls.add(call);
      for (const request of retiring.unanswered)
        if (!unanswered.has(request)) retiring.unanswered.delete(request);
      for (const call of retiring.calls) if (!calls.has(call)) retiring.calls.delete(call);
      const lingers = clock.uptime() - retiring.since < transactionsMs;
      const serves = retiring.calls.size > 0 || retiring.unanswered.size > 0;
      if (!lingers && !serves) void this.#closeRetiring(key);
    }
    if (this.#retiring.size > 0) this.#timer = clock.schedule(() => this.#look(), lookEveryMs);
  }

  async #closeRetiring(key: string): Promise<void> {
    const retiring = this.#retiring.get(key);
    this.#retiring.delete(key);
    await retiring?.transport.close();
  }
}

/** Port 0 means the bound one: it is known only once the socket is open. */
function withPort(advertised: Endpoint | undefined, boundPort: number): Endpoint | undefined {
  return advertised && { address: advertised.address, port: advertised.port || boundPort };
}
