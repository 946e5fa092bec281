import type { Notice } from '../../src/discovery/notice.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import { follow } from './follow.ts';

/** "Compute Engine sends a preemption notice": 30 s later it stops the machine. */
const PREEMPTION_MS = 30_000;
/** "Gives you 60 seconds before the event", for who has asked for the item since the last one. */
const MAINTENANCE_MS = 60_000;

/**
 * Hangs on the two items in which notices come. Asking at the start is what has the 60 seconds granted: nobody is
 * warned who has not asked for `maintenance-event` itself since the last event.
 */
export function watchNotices(
  context: DiscoveryContext,
  notify: (notice: Notice) => void,
  signal: AbortSignal,
): void {
  const { clock } = context;
  let preempted: Notice | undefined;
  watchItem(context, signal, 'preempted', (value) => {
    if (value !== 'TRUE' || preempted) return;
    const source = 'gcp instance/preempted';
    preempted = { id: source, kind: 'termination', deadline: clock.now() + PREEMPTION_MS, source };
    notify(preempted);
  });

  let maintenance: Notice | undefined;
  watchItem(context, signal, 'maintenance-event', (value) => {
    const kind = kindOf(value);
    if (maintenance && maintenance.kind !== kind) {
      // Over, or called off: the server does not say which, and either way the machine goes on.
      notify({ ...maintenance, withdrawn: true });
      maintenance = undefined;
    }
    if (!kind || maintenance) return;
    const source = 'gcp instance/maintenance-event';
    const now = clock.now();
    maintenance = { id: `${source} ${now}`, kind, deadline: now + MAINTENANCE_MS, source };
    notify(maintenance);
  });
}

function kindOf(value: string | undefined): 'pause' | 'maintenance' | undefined {
  if (value === 'MIGRATE_ON_HOST_MAINTENANCE') return 'pause';
  // The second is its name in older documents.
  return /^(TERMINATE|SHUTDOWN)_ON_HOST_MAINTENANCE$/.test(value ?? '') ? 'maintenance' : undefined;
}

function watchItem(
  context: DiscoveryContext,
  signal: AbortSignal,
  item: string,
  changed: (value: string | undefined) => void,
): void {
  const { log } = context;
  void follow(context, `instance/${item}`, (body) => changed(body?.trim()), signal, {
    failed: (error) => log.warn({ provider: 'gcp', item, err: error }, 'notices cannot be read'),
    recovered: () => log.info({ provider: 'gcp', item }, 'notices can be read again'),
  });
}
