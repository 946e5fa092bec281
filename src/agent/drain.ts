import type { Notice } from '../discovery/notice.ts';
import type { DiscoveryLog } from '../discovery/provider.ts';
import type { Clock, Timer } from '../net/clock.ts';
import { LogLimit } from '../net/log-limit.ts';

/** What is under way and has to end before the process may. */
export interface Work {
  readonly calls: number;
  /** Requests that wait for their final response. */
  readonly transactions: number;
}

export interface DrainProgress extends Work {
  /** `serving`: all is welcome; `draining`: nothing new is; `ended`: the process is about to end. */
  readonly state: 'serving' | 'draining' | 'ended';
  /** Why, in words. */
  readonly reason?: string;
  /** When it ends at the latest, milliseconds since 1970. */
  readonly until?: number;
  /** True where a person or the service manager wants it: then nothing calls it off. */
  readonly final: boolean;
}

export interface DrainOptions {
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  /** Asked each time, for the configuration may change. */
  readonly timeoutMs: () => number;
  /** Kinds of notices that begin a drain. */
  readonly drainOn: () => readonly string[];
  /** Whether the cloud is told once everything is drained: what comes then comes to the whole machine. */
  readonly acknowledge: () => boolean;
  readonly work: () => Work;
}

interface Cause {
  readonly reason: string;
  readonly from: number;
  readonly until: number;
  readonly notice?: Notice;
}

interface HeardNotice {
  notice: Notice;
  readonly heardAt: number;
  /** Absent where it had passed when it was heard (or is none): that says only that it may happen any moment. */
  readonly deadline: number | undefined;
}

/** How often it is looked whether the last call has ended. */
const tickMs = 1000;
/** The last response may have been lost: who asks again within a second or two gets it again. */
const lingerMs = 2000;
/** The stores are closed and the cloud is answered within so long before the machine goes, where there is time. */
const marginMs = 5000;
/** The cloud's word on an acknowledgement is not waited for any longer. */
const acknowledgeMs = 10_000;
/** A longer timer does not fit into Node's, and clocks are set meanwhile. */
const longestTimerMs = 3_600_000;
const progressEveryMs = 5000;
const mostNotices = 64;
/** Lines about notices that are written as they come. A cloud that says more than that in a minute is cut short. */
const freeLines = 20;
const freeLinesPerMs = 60_000;
/** Beyond them, lines of one kind are at least so far apart. */
const noticeLineMs = 10_000;

/**
 * The way to the end: what is new is refused, what is under way may end, then the cloud is told, and then the
 * process ends. It begins by hand, by a signal or by a notice of the cloud, `timeoutMs` before the notice's
 * deadline where that is far; and a notice that is taken back or moved calls it off.
 */
export class Drain {
  readonly #options: DrainOptions;
  readonly #notices = new Map<string, HeardNotice>();
  readonly #watchers = new Set<(progress: DrainProgress) => void>();
  readonly #ended = Promise.withResolvers<DrainProgress>();
  #asked: Cause | undefined;
  /** What it was like when it was told last, and the uptime since which nothing is under way. */
  #draining:
    | { told: Work; toldAt: number; worked: boolean; idleSince: number | undefined; cause: Cause }
    | undefined;
  #finished: DrainProgress | undefined;
  readonly #limit: LogLimit;
  #lines = { since: 0, count: 0 };
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#limit = new LogLimit(options.clock, noticeLineMs);
  }

  /** Resolves when the process is to end: nothing is under way any more, or the time is up. */
  get ended(): Promise<DrainProgress> {
    return this.#ended.promise;
  }

  /** Seconds for Retry-After while nothing new is welcome. */
  get retryAfter(): number | undefined {
    if (!this.#draining) return undefined;
    return Math.max(1, Math.ceil((this.#draining.cause.until - this.#options.clock.now()) / 1000));
  }

  get progress(): DrainProgress {
    if (this.#finished) return this.#finished;
    const work = this.#options.work();
    if (!this.#draining) return { state: 'serving', final: false, ...work };
    const { reason, until } = this.#draining.cause;
    return { state: 'draining', reason, until, final: this.#asked !== undefined, ...work };
  }

  /** Begins at once, for at most `limitMs`; nothing calls it off. */
  ask(reason: string, limitMs: number = Number.POSITIVE_INFINITY): void {
    if (this.#asked || this.#finished) return;
    const from = this.#options.clock.now();
    this.#asked = { reason, from, until: from + Math.min(limitMs, this.#options.timeoutMs()) };
    this.reconsider();
  }

  notice(notice: Notice): void {
    const { log, clock, drainOn } = this.#options;
    const { id, kind, deadline, source, withdrawn } = notice;
    const known = this.#notices.get(id);
    if (known && known.notice.kind === kind && Object.is(known.notice.deadline, deadline) && !withdrawn) {
      // Said again; what answers it may be newer.
      known.notice = notice;
      return;
    }
    const told = { kind, source, ...(deadline !== undefined && { deadline: timeOf(deadline) }) };
    if (withdrawn) {
      if (!this.#notices.delete(id)) return;
      this.#line('withdrawn', (left) => log.info({ ...told, ...left }, 'the cloud takes its notice back'));
    } else {
      const now = clock.now();
      const heard: HeardNotice = {
        notice,
        heardAt: known ? this.#heardAt(known) : now,
        deadline: deadline !== undefined && deadline > now ? deadline : undefined,
      };
      this.#notices.set(id, heard);
      if (this.#notices.size > mostNotices) this.#notices.delete(this.#leastUrgent());
      if (drainOn().includes(kind)) {
        const { from } = this.#causeOf(heard);
        const begins = from > now && { drainingFrom: timeOf(from) };
        this.#line('drains', (left) => log.warn({ ...told, ...begins, ...left }, 'the cloud gives notice'));
      } else
        this.#line('left out', (left) =>
          log.info({ ...told, ...left }, 'the cloud gives notice, of a kind that drain-on leaves out'),
        );
    }
    this.reconsider();
  }

  /** Calls `watcher` with each step from now on, and once at once; returns what ends that. */
  watch(watcher: (progress: DrainProgress) => void): () => void {
    this.#watchers.add(watcher);
    watcher(this.progress);
    return () => this.#watchers.delete(watcher);
  }

  /** Something that it hangs on has changed: a notice, the configuration, the time. */
  reconsider(): void {
    if (this.#finished || this.#closed) return;
    const { clock, log } = this.#options;
    this.#stopTimer();
    const now = clock.now();
    const causes = this.#causes();
    const inEffect = causes.filter(({ from }) => from <= now).sort((a, b) => a.until - b.until);
    const [cause] = inEffect;
    if (cause) {
      this.#step(cause, inEffect);
      return;
    }
    if (this.#draining) {
      this.#draining = undefined;
      this.#line('off', (left) => log.info(left, 'draining is called off: calls are taken again'));
      this.#tell();
    }
    const next = Math.min(...causes.map(({ from }) => from));
    if (Number.isFinite(next)) this.#schedule(next - now);
  }

  close(): void {
    this.#closed = true;
    this.#stopTimer();
    this.#limit.close();
    this.#watchers.clear();
  }

  /** Metadata that names other notices each time that it is asked must not fill the log. */
  #line(key: string, write: (left: { readonly suppressed?: number }) => void): void {
    const now = this.#options.clock.uptime();
    if (now - this.#lines.since >= freeLinesPerMs) this.#lines = { since: now, count: 0 };
    if (++this.#lines.count <= freeLines) write({});
    else this.#limit.line(key, (suppressed) => write(suppressed > 0 ? { suppressed } : {}));
  }

  #causes(): Cause[] {
    const kinds = this.#options.drainOn();
    const causes = this.#asked ? [this.#asked] : [];
    for (const heard of this.#notices.values()) {
      if (kinds.includes(heard.notice.kind)) causes.push(this.#causeOf(heard));
    }
    return causes;
  }

  #causeOf({ notice, heardAt, deadline }: HeardNotice): Cause {
    const { kind, source } = notice;
    const timeoutMs = this.#options.timeoutMs();
    if (deadline === undefined) {
      return { reason: `${kind} (${source})`, from: heardAt, until: heardAt + timeoutMs, notice };
    }
    const margin = Math.min(marginMs, (deadline - heardAt) / 10);
    // A time shorter than the margin would begin, and be over, behind it.
    const leadMs = timeoutMs < margin ? timeoutMs + margin : timeoutMs;
    const from = Math.max(heardAt, deadline - leadMs);
    const until = Math.min(from + timeoutMs, deadline - margin);
    return { reason: `${kind} at ${timeOf(deadline)} (${source})`, from, until, notice };
  }

  /**
   * A notice that moved counts as heard now, or when the draining because of it began: its time is not spent
   * before it begins, nor given anew each time that it moves.
   */
  #heardAt(known: HeardNotice): number {
    const now = this.#options.clock.now();
    if (!this.#options.drainOn().includes(known.notice.kind)) return now;
    return Math.min(now, this.#causeOf(known).from);
  }

  /** Those that begin no drain go first, then those whose time is furthest. */
  #leastUrgent(): string {
    const kinds = this.#options.drainOn();
    let least: { id: string; until: number } | undefined;
    for (const [id, heard] of this.#notices) {
      const drains = kinds.includes(heard.notice.kind);
      const until = drains ? this.#causeOf(heard).until : Number.POSITIVE_INFINITY;
      if (!least || until > least.until) least = { id, until };
    }
    return least!.id;
  }

  /** Draining goes on; `cause` is the one that ends it soonest. */
  #step(cause: Cause, inEffect: readonly Cause[]): void {
    const { clock, log } = this.#options;
    const now = clock.now();
    const work = this.#options.work();
    const { calls, transactions } = work;
    const idle = calls === 0 && transactions === 0;
    if (!this.#draining) {
      this.#draining = { told: work, toldAt: now, worked: false, idleSince: undefined, cause };
      const begins = { reason: cause.reason, calls, transactions, until: timeOf(cause.until) };
      this.#line('on', (left) =>
        log.info({ ...begins, ...left }, 'draining: new requests are refused, calls in progress are served'),
      );
    }
    const draining = this.#draining;
    draining.cause = cause;
    draining.worked ||= !idle;
    // By the clock and not by how often it is looked: every change of the cloud has it look.
    if (!idle) draining.idleSince = undefined;
    else draining.idleSince ??= clock.uptime();
    const idleMs = draining.idleSince === undefined ? -1 : clock.uptime() - draining.idleSince;
    const drained = idleMs >= (draining.worked ? lingerMs : 0);
    if (drained || now >= cause.until) {
      void this.#finish(cause, inEffect, work);
      return;
    }
    const changed = calls !== draining.told.calls || transactions !== draining.told.transactions;
    if (changed && !idle && now - draining.toldAt >= progressEveryMs) {
      log.info({ calls, transactions, until: timeOf(cause.until) }, 'draining: this much is left');
      draining.told = work;
      draining.toldAt = now;
    }
    this.#tell();
    this.#schedule(Math.min(tickMs, cause.until - now));
  }

  async #finish(cause: Cause, inEffect: readonly Cause[], work: Work): Promise<void> {
    const { log } = this.#options;
    const { reason, until } = cause;
    const finished: DrainProgress = { state: 'ended', reason, until, final: true, ...work };
    this.#finished = finished;
    this.#limit.close();
    const drained = work.calls === 0 && work.transactions === 0;
    if (drained) {
      log.info({ reason }, 'drained: nothing is under way any more');
      await Promise.all(inEffect.map((each) => each.notice && this.#acknowledge(each.notice)));
    } else log.warn({ reason, ...work }, 'draining took too long: what is left is cut off');
    this.#tell();
    this.#ended.resolve(finished);
  }

  async #acknowledge(notice: Notice): Promise<void> {
    const { clock, log, acknowledge } = this.#options;
    if (!notice.acknowledge || !acknowledge()) return;
    const { kind, source } = notice;
    const late = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = clock.schedule(() => {
      late.abort();
      reject(new Error(`no answer within ${acknowledgeMs} ms`));
    }, acknowledgeMs);
    try {
      await Promise.race([notice.acknowledge(late.signal), promise]);
      log.info({ kind, source }, 'the cloud was told that it need not wait any longer');
    } catch (error) {
      log.warn({ err: error, kind, source }, 'the cloud could not be told that it need not wait any longer');
    } finally {
      clock.cancel(timer);
    }
  }

  #tell(): void {
    if (this.#watchers.size === 0) return;
    const { progress } = this;
    for (const watcher of this.#watchers) watcher(progress);
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#options.clock.schedule(() => this.reconsider(), Math.min(delayMs, longestTimerMs));
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
  }
}

function timeOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
