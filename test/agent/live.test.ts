import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Notice } from '../../src/discovery/notice.ts';
import { type Clock, systemClock, type Timer } from '../../src/net/clock.ts';
import { AgentHarness, ask, freePort, TestCloud, topologyOf } from '../support/agent-harness.ts';
import { LoopbackCall } from '../support/loopback-call.ts';
import { requestText } from '../support/sip-text.ts';

let harness: AgentHarness;
let port: number;
beforeEach(async () => {
  harness = await AgentHarness.make();
  port = await freePort();
});
afterEach(() => harness[Symbol.asyncDispose]());

/** Holds back what is to be tried again until the test says so. */
class RetryClock implements Clock {
  readonly #retries = new Set<() => void>();
  now = systemClock.now;
  uptime = systemClock.uptime;

  schedule(callback: () => void, delayMs: number): Timer {
    if (delayMs !== 15_000) return systemClock.schedule(callback, delayMs);
    this.#retries.add(callback);
    return callback;
  }

  cancel(timer: Timer): void {
    if (!this.#retries.delete(timer as () => void)) systemClock.cancel(timer);
  }

  get waiting(): number {
    return this.#retries.size;
  }

  retry(): void {
    for (const callback of [...this.#retries]) {
      this.#retries.delete(callback);
      callback();
    }
  }
}

let asked = 0;
/** A new request to the agent, outside of any dialog. */
function request(method: string, host = `127.0.0.1:${port}`) {
  const id = `new${++asked}`;
  return ask(port, requestText({ method, uri: `sip:${host}`, callId: id, branch: `z9hG4bK${id}` }));
}

describe('when the cloud gives notice', () => {
  const notice = (more: Partial<Notice> = {}): Notice => ({
    id: 'one',
    kind: 'termination',
    source: 'test cloud',
    ...more,
  });

  test('an agent without a call is drained at once, and the cloud is told where that is asked for', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(
      cloud,
      '--listen',
      `udp:127.0.0.1:${port}`,
      '--acknowledge-notices',
      'on',
    );
    let acknowledged = 0;
    cloud.notify(notice({ acknowledge: async () => void acknowledged++ }));
    assert.equal((await agent.drain.ended).state, 'ended');
    assert.equal(acknowledged, 1);
    assert.equal((await request('OPTIONS')).status, 503);
  });

  test('what is new gets 503 with Retry-After, the call in progress is served to its BYE, then it ends', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:127.0.0.1:${port}`);
    await using call = await LoopbackCall.open(agent, port);
    assert.equal(agent.state().calls, 1);
    cloud.notify(notice());
    assert.equal(agent.state().drain, 'draining');
    for (const method of ['OPTIONS', 'INVITE', 'MESSAGE', 'SUBSCRIBE']) {
      const refused = await request(method);
      assert.equal(refused.status, 503, method);
      assert.match(refused.text, /^Retry-After: 300\r$/m);
    }
    assert.equal((await request('REGISTER')).status, 401, 'registrations go on');
    assert.equal(await call.inDialog('INVITE'), 200);
    assert.equal(agent.state().calls, 1);
    assert.equal(await call.inDialog('BYE'), 200);
    assert.equal(agent.state().calls, 0);
    assert.equal((await agent.drain.ended).calls, 0);
    assert.equal(harness.told(/^drained: nothing/).length, 1);
  });

  test('and takes it back, calls are taken again', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:127.0.0.1:${port}`);
    await using _call = await LoopbackCall.open(agent, port);
    cloud.notify(notice());
    assert.equal((await request('OPTIONS')).status, 503);
    cloud.notify(notice({ withdrawn: true }));
    assert.equal((await request('OPTIONS')).status, 200);
  });

  test('of a kind that drain-on leaves out, nothing is done until a tag says otherwise', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:127.0.0.1:${port}`);
    cloud.notify(notice({ kind: 'pause' }));
    assert.equal(agent.state().drain, 'serving');
    cloud.changed(topologyOf({ '127.0.0.1': undefined }, { 'drain-on': 'pause' }));
    assert.equal((await agent.drain.ended).state, 'ended');
  });
});

describe('the configuration', () => {
  test('of tags counts below the file, and again when it changes', async () => {
    const options = { 'log-level': 'debug', realm: 'from-tag', domain: 'tag.example', 'no-such': 'x' };
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' }, options);
    harness.file = 'domain: file.example\n';
    const agent = await harness.start(cloud, '--config', 'c', '--listen', `udp:127.0.0.1:${port}`);
    assert.equal(harness.log.level, 'debug');
    assert.equal(agent.configuration.realm, 'from-tag');
    assert.deepEqual(agent.configuration.domains, ['file.example']);
    cloud.changed(
      topologyOf(
        { '127.0.0.1': '203.0.113.5' },
        {
          realm: 'other',
          udp: 'dgram',
          advertise: 'sip.example.com',
          'no-such': 'x',
          'drain-timeout': '5',
          alias: '?',
        },
      ),
    );
    await harness.logged(/listeners follow/);
    assert.equal(harness.log.level, 'info');
    assert.equal(agent.listeners[0]?.advertised?.address, 'sip.example.com');
    assert.equal(agent.configuration.drainTimeoutMs, 5000);
    assert.equal(agent.configuration.realm, 'other');
    assert.equal(agent.configuration.udp, 'auto');
    assert.deepEqual(
      harness.told(/a restart is needed/).map(({ details }) => details),
      [{ options: ['udp'] }],
    );
    assert.equal(harness.told(/the tag cloudsip-no-such has no effect/).length, 1);
    assert.equal(harness.told(/the tag cloudsip-alias: expected/).length, 1);
    assert.deepEqual(harness.told(/listeners follow/).at(-1)?.details, {
      changes: [],
      added: [],
      readvertised: [`udp:127.0.0.1:${port} as sip.example.com:${port}`],
      retired: [],
      options: ['advertise', 'log-level', 'realm', 'drain-timeout'],
    });
  });

  test('of tags that is about calls counts for the next one, and that of the realm for the next challenge', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:127.0.0.1:${port}`, '--media', 'dgram');
    const settled = harness.told(/restart/).length;
    const options = {
      realm: 'second',
      'rtp-ports': '30000-30100',
      'unreadable-sdp': 'pass',
      'silent-calls': 'bye',
      silence: '1,2,3',
      'sdp-origin': 'keep',
      'media-path': 'direct',
      record: 'ask',
      dtmf: 'events',
    };
    cloud.changed(topologyOf({ '127.0.0.1': undefined }, options));
    await harness.logged(/the cloud changed: listeners follow/);
    assert.deepEqual(
      (harness.told(/listeners follow/)[0]!.details as { options: string[] }).options.toSorted(),
      Object.keys(options).sort(),
    );
    assert.equal(harness.told(/restart/).length, settled);
    const challenge = await request('MESSAGE', 'elsewhere.example');
    assert.equal(challenge.status, 407);
    assert.match(challenge.text, /realm="second"/);
    const { mediaPath, record, silenceLimits } = agent.configuration;
    assert.deepEqual([mediaPath, record, silenceLimits.runningMs], ['direct', 'ask', 2000]);
  });

  test('of tags that cannot be served keeps the agent neither from starting nor from following', async () => {
    // Without the tag it is the default, port 5060: at an address of loopback that nobody else has.
    const own = `127.77.${port >> 8}.${port & 255}`;
    const cloud = new TestCloud({ [own]: '203.0.113.5' }, { listen: `tcp:127.0.0.1:${port}` });
    const agent = await harness.start(cloud);
    assert.deepEqual(agent.listeners[0]?.bound, { address: own, port: 5060 });
    assert.equal(harness.told(/they have no effect: cloudsip-listen/).length, 1);
    const other = await freePort();
    const second = new TestCloud({ '127.0.0.1': '203.0.113.5' }, { listen: `udp:127.0.0.1:${other}` });
    const running = await harness.start(second);
    assert.equal(running.listeners[0]?.bound.port, other);
    second.changed(topologyOf({ '127.0.0.1': '203.0.113.6' }, { listen: 'udp:192.0.2.1:5060' }));
    await harness.logged(/these options cannot be served/);
    await harness.logged(/the cloud changed: listeners follow/);
    assert.equal(running.listeners[0]?.bound.port, other);
    assert.equal(running.listeners[0]?.advertised?.address, '203.0.113.6');
  });

  test('of the file is read again: what can count at once does, and a bad file changes nothing', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    harness.file = 'domain: one.example\nalias: a.example\n';
    const agent = await harness.start(cloud, '--config', 'c', '--listen', `udp:127.0.0.1:${port}`);
    assert.equal((await request('OPTIONS', 'one.example')).status, 200);
    assert.equal((await request('OPTIONS', 'a.example')).status, 200);
    harness.file = 'domain: two.example\nlog-level: warn\ndscp: ef\nudp: dgram\n';
    await agent.reload();
    assert.equal(harness.log.level, 'warn');
    assert.equal((await request('OPTIONS', 'two.example')).status, 200);
    assert.equal((await request('OPTIONS', '203.0.113.5')).status, 200);
    assert.equal(agent.configuration.dscp, 46);
    const gone = await request('OPTIONS', 'one.example');
    assert.equal(gone.status, 407, 'not ours any more: who wants to go there proves who he is');
    assert.deepEqual(
      harness.told(/a restart is needed/).map(({ details }) => details),
      [{ options: ['udp'] }],
    );
    harness.file = 'domain: three.example\nlog-level: loud\n';
    await agent.reload();
    assert.equal(harness.told(/stays as it was: c:2: log-level: expected one of/).length, 1);
    assert.deepEqual(agent.configuration.domains, ['two.example']);
  });

  test('a cloud that changes a thousand times in a moment is followed once, to the last', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:127.0.0.1:${port}`);
    for (let last = 0; last < 1000; last++) {
      cloud.changed(topologyOf({ '127.0.0.1': `198.51.100.${1 + (last % 200)}` }));
    }
    await harness.logged(/^the cloud changed/);
    assert.equal(agent.listeners[0]?.advertised?.address, '198.51.100.200');
    assert.equal(harness.told(/^the cloud changed/).length, 1);
  });

  test('a hundred requests to read the file are one or two readings, and the last state of it counts', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    harness.file = 'domain: one.example\n';
    const agent = await harness.start(cloud, '--config', 'c', '--listen', `udp:127.0.0.1:${port}`);
    const readings: Promise<void>[] = [];
    for (let n = 0; n < 100; n++) {
      harness.file = `domain: d${n}.example\n`;
      readings.push(agent.reload());
    }
    await Promise.all(readings);
    assert.deepEqual(agent.configuration.domains, ['d99.example']);
    assert.ok(harness.told(/the configuration file was read again/).length <= 2);
  });

  test('without a file there is nothing to read again, and that is said', async () => {
    const agent = await harness.start(
      new TestCloud({ '127.0.0.1': undefined }),
      '--listen',
      'udp:127.0.0.1:0',
    );
    await agent.reload();
    assert.equal(harness.told(/there is no configuration file/).length, 1);
  });
});

describe('listeners', () => {
  test('one that is retired serves the calls that it has and nothing new, and comes back as it was', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined, '127.0.0.2': undefined });
    const agent = await harness.start(cloud, '--listen', `udp:*:${port}`);
    const [first] = agent.listeners;
    await using call = await LoopbackCall.open(agent, port);
    cloud.changed(topologyOf({ '127.0.0.2': undefined }));
    await harness.logged(/listeners follow/);
    assert.deepEqual(
      agent.listeners.map(({ bound }) => bound.address),
      ['127.0.0.2'],
    );
    assert.equal(agent.state().retiringListeners, 1);
    assert.equal((await request('OPTIONS')).status, 503);
    assert.equal((await request('REGISTER')).status, 503);
    assert.equal(await call.inDialog('INVITE'), 200);
    cloud.changed(topologyOf({ '127.0.0.1': undefined, '127.0.0.2': undefined }));
    await harness.logged(/listeners follow/, 2);
    assert.ok(agent.listeners.includes(first!));
    assert.equal(agent.state().retiringListeners, 0);
    assert.equal((await request('OPTIONS')).status, 200);
    assert.equal(await call.inDialog('BYE'), 200);
  });

  test('one that cannot be opened is told of and does not keep the others from following', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    const agent = await harness.start(cloud, '--listen', `udp:*:${port}`);
    const neighbour = await AgentHarness.make();
    try {
      await neighbour.start(new TestCloud({ '127.0.0.2': undefined }), '--listen', `udp:127.0.0.2:${port}`);
      cloud.changed(topologyOf({ '127.0.0.1': '203.0.113.6', '127.0.0.2': undefined }));
      await harness.logged(/the cloud changed: listeners follow/);
      assert.equal(harness.told(/^udp:127\.0\.0\.2:\d+ cannot be opened and will be tried again/).length, 1);
      assert.deepEqual(
        agent.listeners.map(({ bound, advertised }) => [bound.address, advertised?.address]),
        [['127.0.0.1', '203.0.113.6']],
      );
    } finally {
      await neighbour[Symbol.asyncDispose]();
    }
  });

  test('what the cloud says once is tried again where it could not be followed', async () => {
    const clock = new RetryClock();
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    const agent = await harness.startAt(clock, cloud, '--listen', `udp:*:${port}`);
    const wrong = topologyOf({ '127.0.0.1': '203.0.113.6' });
    const localNetworks = ['10.0.0.0/8'];
    cloud.changed({ ...wrong, localNetworks, interfaces: [] });
    await harness.logged(/the listeners cannot follow/);
    assert.equal(agent.listeners[0]?.advertised?.address, '203.0.113.5');
    clock.retry();
    await agent.reload();
    assert.equal(harness.told(/the listeners cannot follow/).length, 1, 'told once for as long as it holds');
    assert.equal(clock.waiting, 1, 'and tried again');
    cloud.changed(wrong);
    await harness.logged(/the cloud changed: listeners follow/);
    assert.equal(clock.waiting, 0);
  });

  test('an address of --listen that is not there is looked for again, for no cloud tells of it', async () => {
    const clock = new RetryClock();
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    harness.file = `listen: ["udp:127.0.0.1:${port}"]\n`;
    const agent = await harness.startAt(clock, cloud, '--config', 'c');
    assert.equal(clock.waiting, 0);
    harness.file = `listen: ["udp:127.0.0.1:${port}", "udp:192.0.2.1:5060"]\n`;
    await agent.reload();
    assert.equal(clock.waiting, 1);
  });

  test('an address of --listen that the machine has lost is left out, and the others go on', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    harness.file = `listen: ["udp:127.0.0.1:${port}"]\n`;
    const agent = await harness.start(cloud, '--config', 'c');
    harness.file = `listen: ["udp:127.0.0.1:${port}", "udp:192.0.2.1:5060"]\n`;
    await agent.reload();
    assert.equal(agent.listeners.length, 1);
    assert.equal(harness.told(/^Cannot listen on 192\.0\.2\.1/).length, 1);
    await agent.reload();
    assert.equal(
      harness.told(/^Cannot listen on 192\.0\.2\.1/).length,
      1,
      'told once for as long as it holds',
    );
  });
});
