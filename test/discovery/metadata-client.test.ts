import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import { MetadataClient, type MetadataClientOptions } from '../../src/discovery/metadata-client.ts';
import { startFakeAzure } from '../support/fake-azure.ts';
import { type FakeImds, startFakeImds } from '../support/fake-imds.ts';
import { type Fault, listen, type SeenRequest } from '../support/fake-server.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';

const LONG_MS = 3_600_000;

function open(baseUrl: string, options: Partial<MetadataClientOptions> = {}): MetadataClient & Disposable {
  const client = new MetadataClient({
    baseUrl,
    clock: new ImpatientClock(60_000),
    signal: new AbortController().signal,
    connectTimeoutMs: LONG_MS,
    callTimeoutMs: LONG_MS,
    ...options,
  });
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

/** Answers `replies` in turn and the last one for ever. */
async function serve(...replies: Fault[]): Promise<FakeImds> {
  const imds = await startFakeImds();
  imds.fault = (_request, count) => replies[Math.min(count, replies.length) - 1];
  return imds;
}

const OK = { status: 200, body: 'yes' };

test('200 is the body, 404 is nothing, the path in the base URL is kept', async () => {
  await using imds = await startFakeImds();
  imds.fault = ({ path }) => (path === '/prefix/a' ? OK : { status: 404, body: '<html>' });
  using client = open(`${imds.url}/prefix/`);
  assert.equal(await client.get('/a'), 'yes');
  assert.equal(await client.get('/b'), undefined);
});

for (const trouble of [{ status: 503 }, { status: 500 }, { status: 429 }, 'reset', 'cut'] as const) {
  test(`${JSON.stringify(trouble)} is tried again, longer and longer`, async () => {
    await using imds = await serve(trouble, trouble, OK);
    const clock = new ImpatientClock(60_000);
    using client = open(imds.url, { clock });
    assert.equal(await client.get('/a'), 'yes');
    assert.deepEqual(clock.waits, [100, 200]);
  });
}

test('a body is posted, and each attempt waits for its turn', async () => {
  await using server = await startFakeAzure({ documents: { instance: {} } });
  server.fault = (_request, count) => (count === 1 ? { status: 503 } : OK);
  const turns: number[] = [];
  using client = open(server.url, {
    turn: async () => {
      turns.push(server.requests.length);
    },
  });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await client.request({ method: 'POST', path: '/a', headers, body: '{"b":"é"}' });
  assert.equal(answer.body, 'yes');
  assert.deepEqual(turns, [0, 1]);
  assert.deepEqual(
    server.requests.map(({ method, body }) => [method, body]),
    [
      ['POST', '{"b":"é"}'],
      ['POST', '{"b":"é"}'],
    ],
  );
});

test('Retry-After is honoured, in seconds and as a date', async () => {
  const clock = new ImpatientClock(60_000);
  const date = new Date(clock.now() + 1000 + 9000).toUTCString();
  await using imds = await serve(
    { status: 503, headers: { 'Retry-After': '1' } },
    { status: 429, headers: { 'Retry-After': date } },
    { status: 503, headers: { 'Retry-After': 'soon' } },
    OK,
  );
  using client = open(imds.url, { clock });
  assert.equal(await client.get('/a'), 'yes');
  assert.deepEqual(clock.waits, [1000, 9000, 400]);
});

test('a Retry-After beyond the time of the call is not waited for', async () => {
  await using imds = await serve({ status: 503, headers: { 'Retry-After': '86400' } });
  const clock = new ImpatientClock(1000);
  using client = open(imds.url, { clock, callTimeoutMs: 5000, connectTimeoutMs: 5000 });
  await assert.rejects(client.get('/a'), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-throttled');
    assert.match(error.message, /\/a: expected 200 or 404, came 503 with Retry-After "86400"/);
    return true;
  });
  assert.equal(imds.requests.length, 1);
});

test('retries end', async () => {
  await using imds = await serve({ status: 500 });
  using client = open(imds.url);
  await assert.rejects(client.get('/a'), { code: 'discovery.metadata-failed' });
  assert.equal(imds.requests.length, 4);
});

const FINAL: [Fault & object, string][] = [
  [{ status: 401 }, 'discovery.metadata-unauthorized'],
  [{ status: 403 }, 'discovery.metadata-forbidden'],
  [{ status: 302, headers: { Location: 'http://192.0.2.1/' } }, 'discovery.metadata-failed'],
  [{ status: 400 }, 'discovery.metadata-failed'],
  [{ status: 200, body: 'x'.repeat(1_048_576) }, 'discovery.metadata-too-large'],
];
for (const [reply, code] of FINAL) {
  test(`${reply.status} with ${reply.body?.length ?? 0} bytes is ${code} at once`, async () => {
    await using imds = await serve(reply);
    using client = open(imds.url);
    await assert.rejects(client.get('/a'), (error: DiscoveryError) => {
      assert.equal(error.code, code);
      assert.ok(error.message.startsWith(`GET ${imds.url}/a: expected`), error.message);
      assert.ok(error.message.length < 400);
      return true;
    });
    assert.equal(imds.requests.length, 1);
  });
}

test('an answer of exactly the limit passes', async () => {
  await using imds = await serve({ status: 200, body: 'x'.repeat(100) });
  using client = open(imds.url, { maxAnswerBytes: 100 });
  assert.equal((await client.get('/a'))?.length, 100);
});

test('a server that takes the request and stays silent is a time-out, not tried again', async () => {
  await using imds = await startFakeImds();
  const clock = new ManualClock();
  using client = open(imds.url, { clock, callTimeoutMs: 5000 });
  const asked = Promise.withResolvers<void>();
  imds.fault = () => {
    asked.resolve();
    return 'hang';
  };
  const call = client.get('/a');
  await asked.promise;
  clock.advance(4999);
  clock.advance(1);
  await assert.rejects(call, (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-timeout');
    assert.match(error.message, /the connection stands, but no whole answer came within 5000 ms/);
    return true;
  });
  assert.equal(imds.requests.length, 1);
  assert.equal(clock.pending, 0);
});

test('a connection that never stands is unreachable after the connect time-out', async () => {
  class BlackHole extends Agent {
    override createConnection(): Socket {
      return Object.assign(new Socket(), { connecting: true });
    }
  }
  const clock = new ManualClock();
  using client = open('http://192.0.2.1', {
    clock,
    agent: new BlackHole(),
    connectTimeoutMs: 1000,
    maxAttempts: 1,
  });
  const call = client.get('/a');
  call.catch(() => {});
  while (clock.pending < 2) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(1000);
  await assert.rejects(call, (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-unreachable');
    assert.match(error.message, /no connection within 1000 ms/);
    return true;
  });
  assert.equal(clock.pending, 0);
});

test('a closed port is unreachable', async () => {
  const imds = await startFakeImds();
  await imds.close();
  const clock = new ImpatientClock(60_000);
  using client = open(imds.url, { clock });
  await assert.rejects(client.get('/a'), (error: DiscoveryError) => {
    assert.equal(error.code, 'discovery.metadata-unreachable');
    assert.match(error.message, /ECONNREFUSED/);
    return true;
  });
  assert.deepEqual(clock.waits, [100, 200, 400]);
});

test('aborting ends what is under way', async () => {
  await using imds = await startFakeImds();
  const abort = new AbortController();
  const clock = new ManualClock();
  using client = open(imds.url, { clock, signal: abort.signal });
  imds.fault = () => {
    abort.abort();
    return 'hang';
  };
  await assert.rejects(client.get('/a'), { code: 'discovery.aborted' });
  assert.equal(clock.pending, 0);
});

test('closing ends what is under way, and no retry follows', async () => {
  await using imds = await startFakeImds();
  const client = open(imds.url);
  imds.fault = () => {
    client.close();
    return 'hang';
  };
  await assert.rejects(client.get('/a'), { code: 'discovery.aborted' });
  assert.equal(imds.requests.length, 1);
});

test('many questions share at most eight connections', async () => {
  await using imds = await startFakeImds();
  const waiting: SeenRequest[] = [];
  const ports = new Set<number | undefined>();
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  agent.on('free', (socket: Socket) => ports.add(socket.localPort));
  imds.fault = (request) => {
    waiting.push(request);
    return OK;
  };
  using client = open(imds.url, { agent });
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.get(`/${index}`)));
  assert.equal(waiting.length, 100);
  assert.ok(ports.size <= 8, `${ports.size} connections`);
});

/** Asks for `/a` in a process of its own, where nothing but the client is at work, and gives its output. */
async function askElsewhere(baseUrl: string, env: Record<string, string>): Promise<string> {
  const program = `
    import { MetadataClient } from ${JSON.stringify(new URL('../../src/discovery/metadata-client.ts', import.meta.url).href)};
    import { systemClock } from ${JSON.stringify(new URL('../../src/net/clock.ts', import.meta.url).href)};
    const signal = new AbortController().signal;
    const client = new MetadataClient({ baseUrl: ${JSON.stringify(baseUrl)}, clock: systemClock, signal, maxAttempts: 2 });
    process.stdout.write(await client.get('/a').catch((error) => error.code));
    client.close();`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child, 'close');
  return output;
}

test('the environment sends nobody to a proxy', async () => {
  await using imds = await serve(OK);
  await using proxy = await serve({ status: 200, body: 'from the proxy' });
  const env = { http_proxy: proxy.url, HTTP_PROXY: proxy.url, NODE_USE_ENV_PROXY: '1', no_proxy: '' };
  assert.equal(await askElsewhere(imds.url, env), 'yes');
  assert.equal(proxy.requests.length, 0);
});

test('a process that waits for nothing but the next attempt does not end', async () => {
  const imds = await startFakeImds();
  await imds.close();
  assert.equal(await askElsewhere(imds.url, {}), 'discovery.metadata-unreachable');
});

test('a question has its time from when it is asked, not from when it had to wait for others', async () => {
  const held: ServerResponse[] = [];
  const arrived = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    held.push(response);
    if (held.length === 8) arrived.resolve();
    if (held.length > 8) response.end('late');
  });
  await using listening = await listen(server);
  const clock = new ManualClock();
  const client = open(listening.url, { clock, callTimeoutMs: 5000 });
  try {
    const asked = Array.from({ length: 16 }, (_, index) => client.get(`/${index}`));
    await arrived.promise;
    assert.equal(clock.pending, 8);
    clock.advance(4999);
    for (const response of held) response.end('slow');
    assert.deepEqual(await Promise.all(asked), [...Array(8).fill('slow'), ...Array(8).fill('late')]);
    assert.equal(clock.pending, 0);
  } finally {
    client.close();
  }
});

test('a password in an endpoint is not repeated', () => {
  assert.throws(
    () => open('http://me:secret@127.0.0.1'),
    ({ message }: DiscoveryError) => {
      assert.doesNotMatch(message, /secret/);
      return /http:\/\/…@127\.0\.0\.1/.test(message);
    },
  );
});

test('an endpoint that is no plain http URL is refused', () => {
  for (const bad of [
    '',
    '169.254.169.254',
    'https://169.254.169.254',
    'http://u:p@h/',
    'http://h/?x',
    'file:///etc',
  ]) {
    assert.throws(() => open(bad), { code: 'discovery.endpoint' }, bad);
  }
});
