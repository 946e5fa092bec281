import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { DtmfHook } from '../../src/agent/dtmf-hook.ts';
import { CollectedLog } from '../support/collected-log.ts';
import { listen } from '../support/fake-server.ts';
import { ManualClock } from '../support/manual-clock.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A web server on a loopback port of the system's choice. */
async function serverFor(t: TestContext, handle: Handler): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    handle(request, response, body);
  });
  const { url, close } = await listen(server);
  t.after(close);
  return `${url}/keys`;
}

test('is told of each key, one after the other, as JSON by POST', async (t) => {
  const told: string[] = [];
  let busy = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const url = await serverFor(t, (request, response, body) => {
    assert.equal(++busy, 1, 'one at a time');
    told.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`);
    setImmediate(() => {
      busy--;
      response.writeHead(204).end();
      if (told.length === 3) resolve();
    });
  });
  const hook = new DtmfHook(url, new ManualClock(), new CollectedLog());
  for (const digit of ['1', '2', '3']) hook.tell({ event: 'dtmf', digit });
  await promise;
  await hook.close();
  assert.deepEqual(
    told,
    ['1', '2', '3'].map((digit) => `POST /keys application/json {"event":"dtmf","digit":"${digit}"}`),
  );
});

test('what it refuses is dropped and told of, a redirect is not followed, and the next key is told', async (t) => {
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const url = await serverFor(t, (request, response, body) => {
    seen.push(`${request.url} ${body}`);
    if (seen.length === 1) response.writeHead(302, { location: '/elsewhere' }).end();
    else response.writeHead(500).end(() => resolve());
  });
  const log = new CollectedLog();
  const hook = new DtmfHook(url, new ManualClock(), log);
  hook.tell({ digit: '1' });
  hook.tell({ digit: '2' });
  await promise;
  await hook.close();
  assert.deepEqual(seen, ['/keys {"digit":"1"}', '/keys {"digit":"2"}']);
  assert.deepEqual(log.lines[0]?.text, 'the DTMF hook was not told of a key');
});

test('one that never answers holds up nobody: a bounded number of keys waits, and the end is at once', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const url = await serverFor(t, () => resolve());
  const log = new CollectedLog();
  const hook = new DtmfHook(url, new ManualClock(), log);
  for (let n = 0; n < 5000; n++) hook.tell({ n });
  await promise;
  await hook.close();
  assert.match(String(log.lines[0]?.details['err']), /1000 keys wait already/);
});
