import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Counts, FileEvent } from './event-reporter.ts';

export interface FileResult {
  readonly file: string;
  readonly counts: Counts;
  readonly failures: readonly Failure[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
  /** What the file and its children printed; shown only where it failed. */
  readonly output: string;
  readonly durationMs: number;
}

export interface Failure {
  readonly name: string;
  /** path:line, or empty where the file as a whole failed. */
  readonly place: string;
  readonly why: string;
}

export interface FileOptions {
  /** The file is ended, and has failed, when it has not ended by itself after so long. */
  readonly timeoutMs: number;
  /** An empty directory for what the file says and prints. */
  readonly scratch: string;
  /** Only tests whose names match (node's --test-name-pattern). */
  readonly names: readonly string[];
  /** Ends the file at once. */
  readonly signal: AbortSignal;
}

const outputLimit = 64 * 1024;
const reporter = join(import.meta.dirname, 'event-reporter.ts');

/**
 * Runs one test file in a process group of its own, so that nothing that it started outlives it: neither when it
 * hangs nor when it forgets a child.
 */
export async function runTestFile(file: string, options: FileOptions): Promise<FileResult> {
  const began = performance.now();
  const says = join(options.scratch, 'events');
  const prints = join(options.scratch, 'output');
  const printsTo = openSync(prints, 'w');
  const child = spawn(
    process.execPath,
    [
      `--test-reporter=${reporter}`,
      `--test-reporter-destination=${says}`,
      ...options.names.map((name) => `--test-name-pattern=${name}`),
      file,
    ],
    { detached: true, stdio: ['ignore', printsTo, printsTo] },
  );
  closeSync(printsTo);
  const endGroup = () => killGroup(child.pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup();
  }, options.timeoutMs);
  options.signal.addEventListener('abort', endGroup);
  if (options.signal.aborted) endGroup();
  const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  options.signal.removeEventListener('abort', endGroup);
  endGroup();

  const heard = collect(readText(says));
  if (late || signal !== null || status !== 0) {
    const why = late
      ? `did not end within ${options.timeoutMs / 1000} s${heard.running ? `; the last test to start was "${heard.running}"` : ''}. A test hangs, or something that it opened is still open.`
      : `ended with ${signal ?? `status ${status}`}; see what it printed below.`;
    // A failed test was counted by itself; a file that fails beside its tests counts as one more.
    if (late || heard.counts.failed + heard.counts.cancelled === 0) {
      heard.counts.tests++;
      heard.counts.failed++;
      heard.failures.push({ name: file, place: '', why });
    }
  }
  const durationMs = performance.now() - began;
  const { counts, failures, skipped } = heard;
  return { file, counts, failures, skipped, output: readText(prints).slice(-outputLimit), durationMs };
}

interface Heard {
  counts: Counts;
  failures: Failure[];
  skipped: { name: string; why: string }[];
  running: string | undefined;
}

function collect(text: string): Heard {
  const counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };
  const heard: Heard = { counts, failures: [], skipped: [], running: undefined };
  let skippedSuites = 0;
  for (const line of text.split('\n')) {
    const event = parse(line);
    if (event?.type === 'started') heard.running = event.name;
    if (event?.type === 'failed') heard.failures.push(event);
    if (event?.type === 'skipped') heard.skipped.push(event);
    if (event?.type === 'skipped' && event.suite) skippedSuites++;
    if (event?.type === 'counts') heard.counts = event.counts;
  }
  // Node counts the tests inside a skipped suite nowhere: count the suite as one.
  heard.counts.tests += skippedSuites;
  heard.counts.skipped += skippedSuites;
  return heard;
}

/** The last line of a file that was killed may be half a line. */
function parse(line: string): FileEvent | undefined {
  if (!line.endsWith('}')) return undefined;
  try {
    return JSON.parse(line) as FileEvent;
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in the group: all ended by themselves.
  }
}
