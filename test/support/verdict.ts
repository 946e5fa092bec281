import type { Counts } from './event-reporter.ts';

/** Why a whole run has not passed, as a sentence; undefined where it has. */
export function verdict(counts: Counts, options: { stopped: boolean; ci: boolean }): string | undefined {
  const failed = counts.failed + counts.cancelled;
  const leftOut = counts.skipped + counts.todo;
  if (options.stopped) return 'Stopped before the end.';
  if (failed > 0) return `${failed} of ${counts.tests} tests failed.`;
  if (counts.tests === 0) return 'Expected tests to run, and none did.';
  if (options.ci && leftOut > 0) return `With CI=true every test must run, and ${leftOut} were left out.`;
  return undefined;
}
