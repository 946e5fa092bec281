import { delay } from '../../src/discovery/delay.ts';
import type { Notice } from '../../src/discovery/notice.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { type Imds, openImds } from './imds.ts';

/** The guide's own advice for the notice of a spot interruption, which comes two minutes ahead. */
const INTERVAL_MS = 5000;
/** Where metadata does not answer, it is asked ever more seldom. */
const MAX_INTERVAL_MS = 60_000;
const TOKEN_TTL_SECONDS = 21_600;
const MAX_EVENTS = 100;

/** What one item announces; undefined where it cannot be understood, which says nothing new. */
type Announced = readonly Notice[] | undefined;

/** The items that announce something, and how each is read (EC2 user guide, "Instance metadata categories"). */
const ITEMS: Readonly<Record<string, (text: string | undefined) => Announced>> = {
  'spot/instance-action': spotNotice,
  'events/recommendations/rebalance': rebalanceNotice,
  'autoscaling/target-lifecycle-state': lifecycleNotice,
  'events/maintenance/scheduled': maintenanceNotices,
};

/**
 * Polls the notices of the metadata service until `signal` aborts: one session, renewed when it is refused. Its
 * silence is logged once, and so is its return.
 */
export async function pollNotices(
  context: DiscoveryContext,
  notify: (notice: Notice) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = context;
  const known = new Map<string, readonly Notice[]>();
  let imds: Imds | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      imds ??= await openImds(context, signal, TOKEN_TTL_SECONDS);
      const session = imds;
      const items = Object.keys(ITEMS);
      const texts = await Promise.all(items.map((item) => session.get(item)));
      if (signal.aborted) break;
      if (failures > 0) log.info({ provider: 'ec2' }, 'the notices of the cloud can be read again');
      failures = 0;
      for (const [index, item] of items.entries()) {
        const now = ITEMS[item]!(texts[index]);
        if (!now) continue;
        for (const notice of newsOf(known.get(item) ?? [], now)) notify(notice);
        known.set(item, now);
      }
    } catch (error) {
      if (signal.aborted) break;
      if (failures === 0)
        log.warn({ provider: 'ec2', err: error }, 'the notices of the cloud cannot be read');
      failures++;
      imds?.close();
      imds = undefined;
    }
    // Not at the pace that a person sets for addresses: an hour's would be longer than the notice.
    const waitMs = Math.min(MAX_INTERVAL_MS, INTERVAL_MS * 2 ** failures);
    await delay(clock, waitMs * (0.9 + 0.2 * Math.random()), signal);
  }
  imds?.close();
}

/** The notices that are new or moved, and those that are there no more. */
function newsOf(before: readonly Notice[], now: readonly Notice[]): Notice[] {
  const fresh = now.filter((notice) => {
    const same = before.find(({ id }) => id === notice.id);
    return same === undefined || same.deadline !== notice.deadline || same.kind !== notice.kind;
  });
  const gone = before.filter(({ id }) => !now.some((notice) => notice.id === id));
  return [...fresh, ...gone.map((notice): Notice => ({ ...notice, withdrawn: true }))];
}

/** `{"action":"terminate","time":"…Z"}`: stop and hibernate take the machine away just the same. */
function spotNotice(text: string | undefined): Announced {
  if (text === undefined) return [];
  const value = parse(text) as Record<string, unknown> | null | undefined;
  const action = value?.['action'];
  if (typeof action !== 'string' || !/^(terminate|stop|hibernate)$/.test(action)) return undefined;
  return [notice('spot/instance-action', 'termination', value?.['time'])];
}

/** `{"noticeTime":"…Z"}`: when it was said, which is no deadline. */
function rebalanceNotice(text: string | undefined): Announced {
  if (text === undefined) return [];
  const value = parse(text) as Record<string, unknown> | null | undefined;
  return typeof value?.['noticeTime'] === 'string'
    ? [notice('events/recommendations/rebalance', 'rebalance')]
    : undefined;
}

/**
 * The state that the scaling group wants. Out of `InService` into `Terminated` or back into the warm pool the
 * machine goes down; `Detached` and `Standby` leave it running.
 */
function lifecycleNotice(text: string | undefined): Announced {
  if (text === undefined) return [];
  const state = text.trim();
  if (/^(InService|Detached|Standby|Warmed:Running)$/.test(state)) return [];
  return /^(Terminated|Warmed:(Terminated|Stopped|Hibernated))$/.test(state)
    ? [notice('autoscaling/target-lifecycle-state', 'scale-in')]
    : undefined;
}

/** A list of `{NotBefore, Code, EventId, NotAfter, State}`. */
function maintenanceNotices(text: string | undefined): Announced {
  if (text === undefined) return [];
  const events = parse(text);
  if (!Array.isArray(events)) return undefined;
  return events.slice(0, MAX_EVENTS).flatMap((event: unknown) => {
    if (typeof event !== 'object' || event === null) return [];
    const { Code: code, EventId: id, State: state, NotBefore: time } = event as Record<string, unknown>;
    const kind = typeof code === 'string' && Object.hasOwn(EVENT_KINDS, code) ? EVENT_KINDS[code] : undefined;
    // A completed or cancelled event stays in the list for a week.
    if (kind === undefined || typeof id !== 'string' || state !== 'active') return [];
    return [notice('events/maintenance/scheduled', kind, time, id.slice(0, 80))];
  });
}

const EVENT_KINDS: Readonly<Record<string, Notice['kind']>> = {
  'instance-reboot': 'reboot',
  'system-reboot': 'reboot',
  'instance-stop': 'termination',
  'instance-retirement': 'termination',
  'system-maintenance': 'maintenance',
};

function notice(item: string, kind: Notice['kind'], time?: unknown, name?: string): Notice {
  const deadline = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return {
    id: name === undefined ? item : `${item} ${name}`,
    kind,
    ...(!Number.isNaN(deadline) && { deadline }),
    source: `ec2 ${item}`,
  };
}

/** Undefined where it is no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
