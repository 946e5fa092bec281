import { garbled } from '../../src/discovery/checked-values.ts';
import { delay } from '../../src/discovery/delay.ts';
import { quoted } from '../../src/discovery/discovery-error.ts';
import type { Notice, NoticeKind } from '../../src/discovery/notice.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { type AzureImds, INSTANCE, openAzureImds, SCHEDULED_EVENTS } from './imds.ts';
import { readInstance } from './instance.ts';

/** "We recommend that you poll the service once per second": preemption gives 30 of them. */
const INTERVAL_MS = 1000;
/** Where it does not answer. */
const FAILING_INTERVAL_MS = 5000;
/** The first question switches the service on for this VM, which takes up to two minutes. */
const FIRST_ANSWER_MS = 150_000;
const ACKNOWLEDGE_MS = 10_000;
/** Of this VM; a scale set's document tells of all its VMs, as many as fit into an answer. */
const MAX_OWN_EVENTS = 50;

const KINDS: Readonly<Record<string, NoticeKind>> = {
  Freeze: 'pause',
  Reboot: 'reboot',
  Redeploy: 'maintenance',
  Preempt: 'termination',
  Terminate: 'termination',
};

interface ScheduledEvent {
  readonly id: string;
  readonly type: string;
  readonly kind: NoticeKind;
  readonly deadline?: number;
}

/**
 * Tells of each scheduled event of this VM (Azure: "Scheduled Events for Linux VMs"): once, again where its time
 * moves, and once more where it is cancelled.
 */
export async function watchScheduledEvents(
  context: DiscoveryContext,
  notify: (notice: Notice) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = context;
  let name: string | undefined;
  let incarnation: unknown;
  let known = new Map<string, ScheduledEvent>();
  let failing = false;
  const imds = openAzureImds(context, signal, FIRST_ANSWER_MS);
  signal.addEventListener('abort', () => imds.close(), { once: true });
  while (!signal.aborted) {
    try {
      name ??= await ownName(imds);
      const document = await imds.get(SCHEDULED_EVENTS);
      const { DocumentIncarnation: told, Events: events } = recordOf(document) ?? {};
      // A document with the same number is the same document. None at all says nothing about events.
      if (document !== undefined && (told === undefined || told !== incarnation)) {
        known = tellDifferences(known, eventsOf(events, name, imds.url(SCHEDULED_EVENTS)));
        incarnation = told;
      }
      if (failing) log.info({ provider: 'azure' }, 'scheduled events are told again');
      failing = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!failing) {
        log.warn({ provider: 'azure', err: error }, 'scheduled events cannot be read; notices may be missed');
      }
      failing = true;
    }
    // Not at the pace that a person sets for addresses: a minute's would be longer than the notice.
    const waitMs = failing ? FAILING_INTERVAL_MS : INTERVAL_MS;
    await delay(clock, waitMs * (0.9 + 0.2 * Math.random()), signal);
  }

  function tellDifferences(
    before: ReadonlyMap<string, ScheduledEvent>,
    events: readonly ScheduledEvent[],
  ): Map<string, ScheduledEvent> {
    const now = new Map(events.map((event) => [event.id, event]));
    for (const event of events) {
      const old = before.get(event.id);
      // A started event names no time any more: it is not another one for that.
      const moved = event.deadline !== undefined && event.deadline !== old?.deadline;
      if (!old || moved || event.kind !== old.kind) {
        notify(noticeOf(event));
      }
    }
    for (const old of before.values()) {
      // An event goes from the document when it is over or called off: in both cases nothing more is to come.
      if (!now.has(old.id)) notify({ ...noticeOf(old), withdrawn: true });
    }
    return now;
  }

  function noticeOf({ id, type, kind, deadline }: ScheduledEvent): Notice {
    return {
      id,
      kind,
      ...(deadline !== undefined && { deadline }),
      source: `azure scheduledevents ${type}`,
      acknowledge: (ended) => acknowledge(context, id, ended),
    };
  }
}

/** "I am ready": Azure then need not wait until the announced time. */
async function acknowledge(context: DiscoveryContext, id: string, signal: AbortSignal): Promise<void> {
  const imds = openAzureImds(context, signal, ACKNOWLEDGE_MS);
  try {
    await imds.post(SCHEDULED_EVENTS, { StartRequests: [{ EventId: id }] });
  } finally {
    imds.close();
  }
}

async function ownName(imds: AzureImds): Promise<string> {
  const { name } = readInstance(await imds.get(INSTANCE), imds.url(INSTANCE));
  if (name === undefined) throw garbled(imds.url(INSTANCE), 'the name of this VM', 'none');
  return name;
}

/** Those of this VM: the document tells of every VM in the availability set or scale set. */
function eventsOf(list: unknown, name: string, url: string): ScheduledEvent[] {
  // A document without one says nothing: an event that is announced is not called off by it.
  if (!Array.isArray(list)) throw garbled(url, 'a list of events', list === null ? 'null' : typeof list);
  const own = list.flatMap((entry: unknown): ScheduledEvent[] => {
    const event = recordOf(entry) ?? {};
    const {
      EventId: id,
      EventType: type,
      EventStatus: status,
      Resources: resources,
      NotBefore: notBefore,
    } = event;
    const kind = typeof type === 'string' && Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
    if (!Array.isArray(resources)) throw garbled(url, 'the Resources of an event', typeof resources);
    const ours = resources.some(
      (resource) => typeof resource === 'string' && resource.toLowerCase() === name.toLowerCase(),
    );
    if (!kind || !ours || status === 'Completed' || status === 'Canceled') return [];
    if (typeof id !== 'string' || id === '' || id.length > 128)
      throw garbled(url, 'an EventId', quoted(String(id)));
    const deadline = timeOf(notBefore);
    return [{ id, type: type as string, kind, ...(deadline !== undefined && { deadline }) }];
  });
  return own.slice(0, MAX_OWN_EVENTS);
}

/** RFC 1123 or ISO 8601, the latter also without a zone, which then is UTC; empty once the event has started. */
function timeOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || text === '' || text.length > 64) return undefined;
  const zoneless = /^\d{4}-\d\d-\d\dT[\d:.]+$/.test(text);
  const time = Date.parse(zoneless ? `${text}Z` : text);
  return Number.isNaN(time) ? undefined : time;
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
