import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { askApi } from '../../src/discovery/ask-api.ts';
import { systemClock } from '../../src/net/clock.ts';
import { ManualClock } from '../support/manual-clock.ts';

const directory = mkdtempSync(join(tmpdir(), 'cloudsip-api-'));
after(() => rmSync(directory, { recursive: true }));
let count = 0;

/** Asks a child that does this. */
function ask(text: string, options: Partial<Parameters<typeof askApi>[2]> = {}): Promise<unknown> {
  const path = join(directory, `${count++}.mjs`);
  writeFileSync(path, text);
  const { signal } = new AbortController();
  return askApi(pathToFileURL(path), { secret: 7 }, { clock: systemClock, signal, env: {}, ...options });
}

describe('a child that asks an API', () => {
  test('is told the question on its standard input alone, and answers on its standard output', async () => {
    const told = await ask(`
      import { text } from 'node:stream/consumers';
      const asked = JSON.parse(await text(process.stdin));
      const answer = { asked, arguments: process.argv.length, env: Object.keys(process.env) };
      process.stdout.write(JSON.stringify({ answer }));`);
    assert.deepEqual(told, { asked: { secret: 7 }, arguments: 2, env: [] });
  });

  test('hands its error on with the code', async () => {
    const error = { code: 'discovery.api-forbidden', message: 'No right.' };
    await assert.rejects(ask(`process.stdout.write(${JSON.stringify(JSON.stringify({ error }))})`), error);
  });

  const garbage = ['', 'warning: no JSON', 'null', '7', '"text"', '[]', '{}', '{"error":7}', '{"error":{}}'];
  for (const text of garbage) {
    test(`that writes ${JSON.stringify(text)} is an error with a code`, async () => {
      await assert.rejects(ask(`process.stdout.write(${JSON.stringify(text)})`), {
        code: 'discovery.api-failed',
        message: /came no answer: its program ended with 0/,
      });
    });
  }

  test('that is killed is one too', async () => {
    await assert.rejects(ask(`process.kill(process.pid, 'SIGKILL')`), {
      code: 'discovery.api-failed',
      message: /ended with a signal/,
    });
  });

  test('that never stops writing is stopped', async () => {
    const endless = `
      import { writeSync } from 'node:fs';
      for (;;) try { writeSync(1, 'x'.repeat(65536)); } catch {}`;
    await assert.rejects(ask(endless), {
      code: 'discovery.api-failed',
      message: /came an answer of more than 8388608 bytes/,
    });
  });

  test('that hangs is ended when its time is up', async () => {
    const clock = new ManualClock();
    const asked = ask('setInterval(() => {}, 1000);', { clock });
    clock.advance(20_000);
    await assert.rejects(asked, { code: 'discovery.api-timeout' });
    assert.equal(clock.pending, 0);
  });

  test('that hangs is ended when nobody wants its answer any more', async () => {
    const abort = new AbortController();
    const asked = ask('setInterval(() => {}, 1000);', { signal: abort.signal });
    abort.abort();
    await assert.rejects(asked, { code: 'discovery.aborted' });
  });
});
