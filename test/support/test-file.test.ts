import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Counts } from './event-reporter.ts';
import { type FileResult, runTestFile } from './test-file.ts';
import { verdict } from './verdict.ts';

const heading =
  "import { describe, test, before } from 'node:test'; import assert from 'node:assert/strict';\n";
let scratch: string;
let counter = 0;

/** Runs a test file of these lines. */
async function runLines(lines: string, timeoutMs = 60_000, signal?: AbortSignal): Promise<FileResult> {
  const place = join(scratch, String(counter++));
  await mkdir(place);
  const file = join(place, 'some.test.mjs');
  await writeFile(file, heading + lines);
  return runTestFile(file, {
    timeoutMs,
    scratch: place,
    names: [],
    signal: signal ?? new AbortController().signal,
  });
}

/** True where a process has ended, though nobody may have collected its status yet. */
async function ended(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined || / [ZX] /.test(stat.slice(stat.lastIndexOf(')')));
}

describe('a test file', () => {
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-test-file-'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  test('is counted as Node counts it', async () => {
    const { counts, failures } = await runLines(
      "describe('d', () => { test('a', () => {}); test('b', () => {}); });",
    );
    assert.deepEqual({ ...counts }, { ...none, topLevel: 1, tests: 2, suites: 1, passed: 2 });
    assert.deepEqual(failures, []);
  });

  test('tells each failure with its name, place and cause, once', async () => {
    const { counts, failures, output } = await runLines(
      "describe('d', () => {\n test('a', () => {});\n test('b', () => { console.log('seen'); assert.equal(1, 2); });\n});",
    );
    assert.equal(counts.failed, 1);
    assert.equal(failures.length, 1);
    assert.equal(failures[0]?.name, 'd › b');
    assert.match(failures[0]?.place ?? '', /some\.test\.mjs:4$/);
    assert.match(failures[0]?.why ?? '', /1 !== 2/);
    assert.equal(output, 'seen\n');
  });

  test('that cannot be loaded has failed', async () => {
    const { counts, failures, output } = await runLines("import './absent.mjs'; test('a', () => {});");
    assert.equal(counts.failed, 1);
    assert.match(failures[0]?.why ?? '', /status 1/);
    assert.match(output, /ERR_MODULE_NOT_FOUND/);
  });

  test('whose hook fails has failed', async () => {
    const { counts } = await runLines(
      "describe('d', () => { before(() => { throw new Error('x'); }); test('a', () => {}); });",
    );
    assert.ok(counts.failed + counts.cancelled > 0);
  });

  test('that crashes after its tests has failed', async () => {
    const { counts } = await runLines("test('a', () => {}); process.on('exit', () => process.exit(3));");
    assert.equal(counts.failed, 1);
  });

  test('counts what it leaves out, whole suites too', async () => {
    const { counts, skipped } = await runLines(
      "test('a', { skip: 'no root' }, () => {}); describe('s', { skip: 'no root' }, () => { test('b', () => {}); });",
    );
    assert.equal(counts.skipped, 2);
    assert.equal(counts.tests, 2);
    assert.deepEqual(
      skipped.map(({ name, why }) => ({ name, why })),
      [
        { name: 'a', why: 'no root' },
        { name: 's', why: 'no root' },
      ],
    );
  });

  for (const [how, lines] of [
    ['waits for ever', "test('a', () => new Promise(() => setInterval(() => {}, 1e6)));"],
    ['never yields', "test('a', () => { for (;;); });"],
    [
      'leaves a socket open',
      "import d from 'node:dgram'; test('a', () => { d.createSocket('udp4').bind(0); });",
    ],
  ] as const) {
    test(`that ${how} is ended and has failed`, async () => {
      const { counts, failures } = await runLines(lines, 1500);
      assert.equal(counts.failed, 1);
      assert.match(failures.at(-1)?.why ?? '', /did not end within 1\.5 s/);
    });
  }

  test('takes the children that it forgot with it', async () => {
    const { output, counts } = await runLines(
      "import { spawn } from 'node:child_process'; test('a', () => { const c = spawn('sleep', ['600']); c.unref(); console.log(c.pid); process.on('exit', () => 0); setImmediate(() => process.exit(0)); });",
    );
    assert.equal(counts.failed, 0);
    const pid = Number(output);
    assert.ok(pid > 0);
    while (!(await ended(pid))) await new Promise(setImmediate);
  });

  test('ends when the run is stopped', async () => {
    const stop = new AbortController();
    const running = runLines(
      "test('a', () => new Promise(() => setInterval(() => {}, 1e6)));",
      60_000,
      stop.signal,
    );
    setImmediate(() => stop.abort());
    assert.match((await running).failures[0]?.why ?? '', /SIGKILL/);
  });
});

const none: Counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };

describe('a run', () => {
  const passing: Counts = { ...none, tests: 3, passed: 3 };
  const here = { stopped: false, ci: false };
  const ci = { stopped: false, ci: true };

  test('passes where every test has passed', () => {
    assert.equal(verdict(passing, here), undefined);
    assert.equal(verdict(passing, ci), undefined);
  });

  test('may leave tests out, but not with CI=true', () => {
    assert.equal(verdict({ ...passing, skipped: 1 }, here), undefined);
    assert.match(verdict({ ...passing, skipped: 1 }, ci) ?? '', /every test must run, and 1 were left out/);
    assert.match(verdict({ ...passing, todo: 2 }, ci) ?? '', /and 2 were left out/);
  });

  test('fails with a failed or cancelled test, with none at all, and when it is stopped', () => {
    assert.match(verdict({ ...passing, failed: 1 }, here) ?? '', /1 of 3 tests failed/);
    assert.match(verdict({ ...passing, cancelled: 1 }, here) ?? '', /1 of 3 tests failed/);
    assert.match(verdict(none, here) ?? '', /none did/);
    assert.match(verdict(passing, { stopped: true, ci: false }) ?? '', /Stopped/);
  });
});
