import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AgentHarness, ask, freePort, TestCloud, topologyOf } from './support/agent-harness.ts';
import { requestText } from './support/sip-text.ts';

describe('the agent', () => {
  let harness: AgentHarness;
  beforeEach(async () => {
    harness = await AgentHarness.make();
  });
  afterEach(() => harness[Symbol.asyncDispose]());

  test('serves when it has started, makes two accounts once, and frees everything when it closes', async () => {
    const agent = await harness.start(
      new TestCloud({ '127.0.0.1': '203.0.113.5' }),
      '--listen',
      'udp:127.0.0.1:0',
    );
    const [listener] = agent.listeners;
    assert.ok(listener);
    const { port } = listener.bound;
    // Port 0 becomes the real one on both sides.
    assert.deepEqual(listener.advertised, { address: '203.0.113.5', port });
    assert.deepEqual(
      agent.newAccounts.map(({ name }) => name),
      ['alice', 'bob'],
    );
    const options = await ask(
      port,
      requestText({ method: 'OPTIONS', uri: `sip:203.0.113.5:${port}`, via: '127.0.0.1:9' }),
    );
    assert.equal(options?.status, 200);
    const register = await ask(
      port,
      requestText({ method: 'REGISTER', uri: 'sip:203.0.113.5', branch: 'z9hG4bKr' }),
    );
    assert.equal(register?.status, 401);
    await agent.close();
    const again = await harness.start(
      new TestCloud({ '127.0.0.1': '203.0.113.5' }),
      '--listen',
      `udp:127.0.0.1:${port}`,
    );
    assert.deepEqual(again.newAccounts, []);
    await again.close();
  });

  test('follows nothing any more where the start failed after all', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    let stopped: AbortSignal | undefined;
    cloud.watch = (_context: unknown, changed: TestCloud['changed'], signal?: AbortSignal): void => {
      cloud.changed = changed;
      stopped = signal;
    };
    cloud.watchNotices = () => {
      throw new Error('no notices here');
    };
    const port = await freePort();
    const flags = ['--listen', `udp:*:${port}`];
    await assert.rejects(harness.start(cloud, ...flags), /no notices here/);
    assert.equal(stopped?.aborted, true);
    cloud.changed(topologyOf({ '127.0.0.1': undefined, '127.0.0.2': undefined }));
    // Nobody has the ports: another agent takes them.
    const other = new TestCloud({ '127.0.0.1': undefined, '127.0.0.2': undefined });
    assert.equal((await harness.start(other, ...flags)).listeners.length, 2);
  });

  test('follows the cloud: another public address, a listener that goes, one that comes', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    const port = await freePort();
    const agent = await harness.start(cloud, '--listen', `udp:*:${port}`);
    const shown = () =>
      agent.listeners.map(({ bound, advertised }) => `${bound.address} as ${advertised?.address ?? '-'}`);
    assert.deepEqual(shown(), ['127.0.0.1 as 203.0.113.5']);
    const [before] = agent.listeners;
    cloud.changed(topologyOf({ '127.0.0.1': '203.0.113.6' }));
    await harness.logged(/the cloud changed/);
    assert.deepEqual(shown(), ['127.0.0.1 as 203.0.113.6']);
    assert.equal(agent.listeners[0], before, 'the socket stays open');
    // The former identity is still ours: dialogs carry it.
    const options = await ask(
      port,
      requestText({ method: 'OPTIONS', uri: `sip:203.0.113.5:${port}`, via: '127.0.0.1:9' }),
    );
    assert.equal(options?.status, 200);
    await agent.close();
  });

  test('keeps what runs when a new topology cannot be served', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    const agent = await harness.start(cloud, '--listen', 'udp:127.0.0.1:0');
    cloud.changed({ ...topologyOf({}), localNetworks: ['not a network'] });
    await harness.logged(/cannot follow/);
    assert.equal(agent.listeners.length, 1);
    await agent.close();
  });

  test('refuses a listener over what it does not speak, and leaves nothing open', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    await assert.rejects(harness.start(cloud, '--listen', 'udp:127.0.0.1:0', '--listen', 'tcp:127.0.0.1:0'), {
      code: 'agent.transport',
      message: /expected a udp listener/,
    });
  });

  test('refuses an address that the machine does not own', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    await assert.rejects(
      harness.start(cloud, '--listen', 'udp:203.0.113.5:5060'),
      /udp:127\.0\.0\.1:5060 as 203\.0\.113\.5:5060/,
    );
  });
});
