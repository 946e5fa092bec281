/**
 * `npm test`: installs the Debian packages that the tests need (as root), runs every test file but the
 * benchmarks, shows what failed, and ends with Node's own counts. `npm test -- test/media 'test/rfc/*'` runs a
 * part; `--name PATTERN` only tests of that name. With CI=true nothing may be skipped.
 */
import { globSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, matchesGlob, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { installPackages, missingPackages } from './support/debian-packages.ts';
import type { Counts } from './support/event-reporter.ts';
import { type FileResult, runTestFile } from './support/test-file.ts';
import { verdict } from './support/verdict.ts';

const minuteMs = 60_000;

interface Stage {
  readonly files: readonly string[];
  readonly atOnce: number;
  readonly timeoutMs: number;
}

/** The test files that the arguments name: files, directories or patterns; all where there are none. */
function selectFiles(wanted: readonly string[]): string[] {
  const all = globSync('test/**/*.test.ts').filter((file) => !file.startsWith('test/bench/'));
  if (wanted.length === 0) return all.sort();
  const chosen = new Set<string>();
  for (const argument of wanted) {
    const path = normalize(argument).replace(/\/$/, '');
    const found = all.filter(
      (file) => file === path || file.startsWith(`${path}/`) || matchesGlob(file, path),
    );
    if (found.length === 0)
      throw new Error(`expected a test file, directory or pattern, and "${argument}" names no test`);
    for (const file of found) chosen.add(file);
  }
  return [...chosen].sort();
}

/** Files that load the machine to its limit, and count what others would disturb: each packet, milliseconds, memory. */
const loads = ['floods', 'load', 'takeovers', 'together'].map((name) => `test/lab/${name}.test.ts`);

/**
 * The lab's files carry real media in real time, after the others: they wait for it more than they compute. A file
 * that took longer than its time has hung.
 */
function stages(files: readonly string[]): Stage[] {
  const processors = availableParallelism();
  const isLab = (file: string) => file.startsWith('test/lab/');
  const inLab = files.filter((file) => isLab(file) && !loads.includes(file));
  return [
    { files: files.filter((file) => !isLab(file)), atOnce: processors, timeoutMs: 3 * minuteMs },
    { files: inLab, atOnce: processors, timeoutMs: 6 * minuteMs },
    { files: files.filter((file) => loads.includes(file)), atOnce: 1, timeoutMs: 6 * minuteMs },
  ];
}

async function preparePackages(): Promise<void> {
  const missing = missingPackages();
  if (missing?.length === 0) return;
  if (missing === undefined) {
    console.log('This is no Debian: tests that call programs of the system need them on the PATH.');
  } else if (process.getuid?.() !== 0) {
    console.log(
      `Not installed: ${missing.join(' ')}. Tests that need them will fail; as root, npm test installs them.`,
    );
  } else {
    console.log(`Installing ${missing.join(' ')}`);
    await installPackages(missing);
  }
}

function showFailures({ file, failures, output }: FileResult): void {
  for (const { name, place, why } of failures) {
    console.log(`\n✖ ${name}${place && ` (${place})`}\n${why.replace(/^/gm, '  ')}`);
  }
  if (failures.length > 0 && output.trim())
    console.log(`\n${file} printed:\n${output.trimEnd().replace(/^/gm, '  ')}`);
}

/** One line for each file and reason. */
function showSkipped(results: readonly FileResult[]): void {
  for (const { file, skipped } of results) {
    for (const [why, those] of Map.groupBy(skipped, (entry) => entry.why)) {
      console.log(`left out: ${file}, ${those.length} (${why})`);
    }
  }
}

/** Node's own closing lines, so that whoever reads them elsewhere can read them here. */
function showCounts(counts: Counts, durationMs: number): void {
  const { tests, suites, passed, failed, cancelled, skipped, todo } = counts;
  const rows = {
    tests,
    suites,
    pass: passed,
    fail: failed,
    cancelled,
    skipped,
    todo,
    duration_ms: durationMs,
  };
  for (const [name, value] of Object.entries(rows)) console.log(`ℹ ${name} ${value}`);
}

async function main(): Promise<number> {
  const began = performance.now();
  process.chdir(join(import.meta.dirname, '..'));
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { name: { type: 'string', multiple: true, default: [] } },
  });
  const planned = stages(selectFiles(positionals));
  await preparePackages();

  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-test-'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const results: FileResult[] = [];
  try {
    for (const { files, atOnce, timeoutMs } of planned) {
      const queue = files.values();
      const worker = async () => {
        for (const file of queue) {
          if (stop.signal.aborted) return;
          const own = join(scratch, file);
          await mkdir(own, { recursive: true });
          const result = await runTestFile(file, {
            timeoutMs,
            scratch: own,
            names: values.name,
            signal: stop.signal,
          });
          results.push(result);
          showFailures(result);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }

  const counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };
  for (const result of results) {
    for (const key of Object.keys(counts) as (keyof Counts)[]) counts[key] += result.counts[key];
  }
  showSkipped(results);
  const sentence = verdict(counts, { stopped: stop.signal.aborted, ci: process.env['CI'] === 'true' });
  showCounts(counts, performance.now() - began);
  if (sentence) console.log(sentence);
  return sentence ? 1 : 0;
}

process.exitCode = await main().catch((error: Error) => {
  console.error(`npm test: ${error.message}`);
  return 1;
});
