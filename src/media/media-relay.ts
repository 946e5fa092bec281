import { type Endpoint, normalizeHost } from '../net/address.ts';
import type { Clock } from '../net/clock.ts';
import { loadLibc } from '../net/libc.ts';
import type { DtmfDigit } from './dtmf/dtmf-digit.ts';
import { Forwarder } from './forwarder.ts';
import { LearningWindows } from './learning-windows.ts';
import type {
  ForwarderKind,
  MediaRelay,
  MediaSession,
  MediaSessionEvents,
  MediaSessionSnapshot,
  MediaStats,
  MediaTap,
  RelaySettings,
} from './media-contract.ts';
import { MediaError } from './media-error.ts';
import type { MediaLeg } from './media-leg.ts';
import type { MediaLog } from './media-log.ts';
import { Moves } from './moves.ts';
import { OwnPorts } from './own-ports.ts';
import { PortPool, type PortRange } from './port-pool.ts';
import { RelayedSession, type SessionContext } from './relayed-session.ts';
import { type SilenceLimits, SilenceWatch } from './silence-watch.ts';
import { maxSlots } from './slot-table.ts';
import { probingSource, type SocketSource, systemCallSource } from './socket-source.ts';
import { CallTap } from './tap/call-tap.ts';
import { TapThread } from './tap/tap-thread.ts';

export type WantedForwarder = 'auto' | ForwarderKind;

export interface MediaRelayOptions {
  readonly clock: Clock;
  readonly log: MediaLog;
  /** UDP ports for RTP and RTCP, on every bound address. Default 10000 to 20000. */
  readonly portRange?: PortRange;
  /**
   * How packets are moved: `kernel`, by a program in the kernel once a flow is settled, and by system calls until
   * then (`kernel-xdp` the same, at the other place where the kernel takes a program); `koffi`, by system calls;
   * `dgram`, by node:dgram; `auto` (the default), the first of these that this machine allows.
   */
  readonly forwarder?: WantedForwarder;
  /** Without RTP from any side for so long `onSilence` is called. Default a minute, on hold half an hour. */
  readonly silence?: SilenceLimits;
  /** The DSCP that packets leave with (RFC 2474). Default 0: what they came with. node:dgram can do neither, its packets leave with 0. */
  readonly dscp?: number;
  /** How long after an offer or an answer another source may take over. Default 10,000. */
  readonly learningWindowMs?: number;
  /** The line o= of descriptions stays as it came; else it gets the relay's address. Default false. */
  readonly keepOrigin?: boolean;
  /** Where recordings go; made once there is one. Default `recordings` in the working directory. */
  readonly recordDirectory?: string;
  /** Ports that no SDP may point packets at on any address of the relay; see `protect` for others. Default 5060 and 5061. */
  readonly protectedPorts?: readonly number[];
}

const defaultSilence: SilenceLimits = { initialMs: 60_000, runningMs: 60_000, heldMs: 1_800_000 };

/** Starts the media thread. Throws MediaError (`media.forwarder-unavailable`, `media.port-range`). */
export async function startMediaRelay(options: MediaRelayOptions): Promise<MediaRelay> {
  const range = options.portRange ?? { from: 10_000, to: 20_000 };
  // Made at once for its check: a wrong range is an error of the start and not of the first call.
  new PortPool(range);
  const forwarder = await startForwarder(options);
  return new ForwardingRelay(forwarder, range, options);
}

/** What is tried, in this order. */
const tries: Readonly<Record<WantedForwarder, readonly ForwarderKind[]>> = {
  auto: ['kernel', 'koffi', 'dgram'],
  kernel: ['kernel'],
  'kernel-xdp': ['kernel-xdp'],
  koffi: ['koffi'],
  dgram: ['dgram'],
};

/** What the log says of it. */
const places: Readonly<Record<ForwarderKind, string>> = {
  kernel: 'settled media is forwarded in the kernel (TCX)',
  'kernel-xdp': 'settled media is forwarded in the kernel (XDP)',
  koffi: 'media is forwarded in user space, by system calls (koffi)',
  dgram: 'media is forwarded in user space, by node:dgram',
};

async function startForwarder(options: MediaRelayOptions): Promise<Forwarder> {
  const { clock, log, forwarder: wanted = 'auto' } = options;
  const problems: unknown[] = [];
  for (const kind of tries[wanted]) {
    let forwarder: Forwarder | undefined;
    try {
      forwarder = new Forwarder(await openSource(kind), clock, log);
      await forwarder.start();
      const why = problems.length > 0 ? `: ${problems.map(sentence).join('; ')}` : '';
      log.info(`${places[forwarder.kind]}${why}`);
      // Calls are not to wait for it one by one, while the table grows.
      if (forwarder.kind !== 'dgram') void loadLibc().makeRoom(maxSlots);
      return forwarder;
    } catch (error) {
      await forwarder?.stop();
      problems.push(error);
    }
  }
  throw new MediaError(
    'media.forwarder-unavailable',
    `The media thread cannot be started (${problems.map(sentence).join('; ')}).`,
    { cause: problems[0] },
  );
}

/** What only some machines need is loaded only there. */
async function openSource(kind: ForwarderKind): Promise<SocketSource> {
  if (kind === 'dgram') return probingSource;
  if (kind === 'koffi') return systemCallSource(loadLibc());
  const { kernelSource } = await import('./kernel/kernel-source.ts');
  return kernelSource(loadLibc(), kind);
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

class ForwardingRelay implements MediaRelay {
  readonly #forwarder: Forwarder;
  readonly #context: SessionContext;
  readonly #sessions = new Set<RelayedSession>();
  /** `address port` */
  #protected: ReadonlySet<string> = new Set();
  readonly #options: MediaRelayOptions;
  #tapThread: TapThread | undefined;
  readonly #taps = new Set<CallTap>();
  /** What it followed last. */
  #places = '';
  /** What is under way of that. */
  #moving: Promise<void> | undefined;
  #range: PortRange;
  /** By bound address. What was taken from one goes back there, also once another range counts. */
  #pools = new Map<string, PortPool>();
  #closed: Promise<void> | undefined;

  constructor(forwarder: Forwarder, range: PortRange, options: MediaRelayOptions) {
    const { clock, log } = options;
    const ownPorts = new OwnPorts<MediaLeg>();
    const ports = new Set(options.protectedPorts ?? [5060, 5061]);
    this.#forwarder = forwarder;
    this.#range = range;
    this.#options = options;
    this.#mark(options.dscp ?? 0);
    this.#context = {
      forwarder,
      clock,
      log,
      learningWindows: new LearningWindows(clock, options.learningWindowMs ?? 10_000),
      ownPorts,
      keepOrigin: options.keepOrigin ?? false,
      isProtected: (endpoint) =>
        this.#protected.has(nameOf(endpoint)) ||
        (ports.has(endpoint.port) && ownPorts.isOwnAddress(endpoint.address)),
      silence: new SilenceWatch(clock, options.silence ?? defaultSilence),
      poolFor: (boundAddress) => {
        let pool = this.#pools.get(boundAddress);
        if (!pool) this.#pools.set(boundAddress, (pool = new PortPool(this.#range)));
        return pool;
      },
      closed: (session) => {
        this.#sessions.delete(session);
      },
    };
  }

  createSession(id: string, events: MediaSessionEvents): MediaSession {
    const session = new RelayedSession(id, events, this.#context);
    if (this.#closed !== undefined) session.close();
    else this.#sessions.add(session);
    return session;
  }

  openTap(callId: string, onDigit: (digit: DtmfDigit) => void): MediaTap {
    const { log, recordDirectory = 'recordings' } = this.#options;
    this.#tapThread ??= new TapThread(this.#forwarder.ring, log);
    const tap = new CallTap({
      thread: this.#tapThread,
      forwarder: this.#forwarder,
      log,
      directory: recordDirectory,
      callId,
      onDigit,
      ended: () => this.#taps.delete(tap),
    });
    this.#taps.add(tap);
    return tap;
  }

  protect(endpoints: readonly Endpoint[]): void {
    this.#protected = new Set(endpoints.map(nameOf));
  }

  configure({ portRange, silence, dscp, keepOrigin }: RelaySettings): void {
    const { from, to } = portRange;
    if (from !== this.#range.from || to !== this.#range.to) {
      // Made for its check alone: a wrong range changes nothing.
      new PortPool(portRange);
      this.#range = portRange;
      this.#pools = new Map();
    }
    this.#mark(dscp);
    this.#context.silence.setLimits(silence);
    this.#context.keepOrigin = keepOrigin;
  }

  #mark(dscp: number): void {
    if (dscp === this.#forwarder.dscp) return;
    this.#forwarder.dscp = dscp;
    if (dscp !== 0 && this.#forwarder.kind === 'dgram')
      this.#options.log.warn('relayed packets leave with DSCP 0: node:dgram cannot set another');
  }

  follow(places: ReadonlyMap<string, string>): void {
    const now = new Map([...places].map(([told, bound]) => [normalizeHost(told), normalizeHost(bound)]));
    const text = JSON.stringify([...now].sort());
    if (text === this.#places) return;
    this.#places = text;
    // What is under way is ended first: it may have pairs that stand aside.
    const moving = this.#moving !== undefined ? this.#moving.then(() => this.#move(now)) : this.#move(now);
    this.#moving = moving;
    void moving?.then(() => {
      if (this.#moving === moving) this.#moving = undefined;
    });
  }

  #move(places: ReadonlyMap<string, string>): Promise<void> | undefined {
    const moves = new Moves(this.#forwarder, this.#options.log);
    for (const session of this.#sessions)
      for (const leg of session.legs())
        for (const [pair, place] of leg.misplaced(places)) moves.add(session.id, leg, pair, place);
    return moves.begin() ? moves.end() : undefined;
  }

  get stats(): MediaStats {
    const totals = this.#forwarder.totals();
    let legs = 0;
    for (const session of this.#sessions) legs += session.legCount;
    return {
      sessions: this.#sessions.size,
      legs,
      portsInUse: totals.sockets,
      packets: totals.packets,
      bytes: totals.bytes,
      droppedStrangers: totals.strangers,
      droppedUndeliverable: totals.undeliverable,
      forwarder: this.#forwarder.kind,
      kernelPackets: totals.kernelPackets,
      restarts: this.#forwarder.restarts,
    };
  }

  sessions(limit = Number.POSITIVE_INFINITY): MediaSessionSnapshot[] {
    const list: MediaSessionSnapshot[] = [];
    if (limit <= 0) return list;
    for (const session of this.eachSession()) if (list.push(session) >= limit) break;
    return list;
  }

  *eachSession(): Iterable<MediaSessionSnapshot> {
    for (const session of this.#sessions) yield { id: session.id, streams: session.snapshot() };
  }

  /** Ends the media thread as a crash would; resolves when another one serves. For tests. */
  crash(): Promise<void> {
    return this.#forwarder.crash();
  }

  async flush(): Promise<void> {
    while (this.#moving !== undefined) await this.#moving;
    await this.#forwarder.flush();
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      for (const session of [...this.#sessions]) session.close();
      this.#closed = this.#end();
    }
    return this.#closed;
  }

  /** The recordings get what is under way, then both threads end. */
  async #end(): Promise<void> {
    await Promise.all([...this.#taps].map((tap) => tap.end()));
    await this.#forwarder.stop();
    await this.#tapThread?.stop();
  }
}

function nameOf({ address, port }: Endpoint): string {
  return `${normalizeHost(address)} ${port}`;
}
