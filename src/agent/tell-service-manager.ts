import { notifyServiceManager } from '../cli/service-manager.ts';
import type { DrainProgress } from './drain.ts';

/** As long as the process says so again within this time, the manager waits for its end. */
const extendUs = 30_000_000;

/** A watcher of the drain that tells the service manager each step. */
export function tellServiceManager(
  notify: (state: string) => Promise<unknown> = notifyServiceManager,
): (progress: DrainProgress) => void {
  let before: DrainProgress['state'] = 'serving';
  let stopping = false;
  return (progress) => {
    const { state, calls, reason, final } = progress;
    const lines: string[] = [];
    // The way back is closed by this word, so it is said only of what nothing calls off.
    if (final && !stopping) {
      stopping = true;
      lines.push('STOPPING=1');
    }
    if (state === 'draining') {
      lines.push(`STATUS=draining, calls left: ${calls}, ${(reason ?? '').replace(/[\x00-\x1f]/g, ' ')}`);
      if (stopping) lines.push(`EXTEND_TIMEOUT_USEC=${extendUs}`);
    } else if (before === 'draining') lines.push(state === 'serving' ? 'STATUS=serving' : 'STATUS=drained');
    before = state;
    if (lines.length > 0) void notify(lines.join('\n'));
  };
}
