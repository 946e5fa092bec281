import { AssertionError } from 'node:assert';
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** What one test file tells test/run.ts, a line of JSON each. */
export type FileEvent =
  | { readonly type: 'started'; readonly name: string }
  | { readonly type: 'failed'; readonly name: string; readonly place: string; readonly why: string }
  | { readonly type: 'skipped'; readonly name: string; readonly why: string; readonly suite: boolean }
  | { readonly type: 'counts'; readonly counts: Counts };

/** Node's own counts at the end of a run, under its own names. */
export interface Counts {
  tests: number;
  suites: number;
  passed: number;
  failed: number;
  cancelled: number;
  skipped: number;
  todo: number;
}

function say(event: FileEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** A failure as it is shown: the cause without the runner's own frames, or what the runner says itself. */
function explain(error: Error): string {
  const cause = error.cause ?? error;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : inspect(cause);
  // What an assertion compared is in its message already.
  const shown =
    cause instanceof AssertionError ? (cause.stack ?? cause.message) : inspect(cause, { depth: 5 });
  return shown
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:internal\//.test(line) && !/^\s+at .*node:async_hooks/.test(line))
    .join('\n');
}

async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const { type, data } of source) {
    if (type === 'test:dequeue') yield say({ type: 'started', name: data.name });
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    }
    if (type === 'test:pass' && data.skip !== undefined) {
      const why = typeof data.skip === 'string' ? data.skip : 'no reason given';
      yield say({ type: 'skipped', name: path.join(' › '), why, suite: data.details.type === 'suite' });
    }
    if (type === 'test:fail' && data.todo === undefined) {
      const error = data.details.error;
      // A suite fails with its tests, which have been shown.
      if ('failureType' in error && error.failureType === 'subtestsFailed') continue;
      const place = data.file ? `${relative(process.cwd(), data.file)}:${data.line ?? 0}` : '';
      yield say({ type: 'failed', name: path.join(' › '), place, why: explain(error) });
    }
    // The types do not know `failed` yet.
    if (type === 'test:summary')
      yield say({ type: 'counts', counts: data.counts as typeof data.counts & Counts });
  }
}

// biome-ignore lint/style/noDefaultExport: node --test-reporter takes a module's default export
export default report;
