import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Agent } from '../src/agent.ts';
import type { Configuration } from '../src/cli/configuration.ts';
import type { Provider } from '../src/discovery/provider.ts';
import type { Topology } from '../src/discovery/topology.ts';
import { systemClock } from '../src/net/clock.ts';
import { parseMessage } from '../src/sip/message/message.ts';
import { requestText } from './support/sip-text.ts';

/** A cloud on loopback, whose map can be changed while the agent runs. */
class TestCloud implements Provider {
  readonly name = 'test';
  changed: (topology: Topology) => void = () => {};
  #topology: Topology;

  constructor(mappings: Record<string, string | undefined>) {
    this.#topology = topology(mappings);
  }

  detect(): boolean {
    return true;
  }

  discover(): Promise<Topology> {
    return Promise.resolve(this.#topology);
  }

  watch(_context: unknown, changed: (topology: Topology) => void): void {
    this.changed = changed;
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

function topology(mappings: Record<string, string | undefined>): Topology {
  return {
    provider: 'test',
    interfaces: [
      {
        mac: '02:00:00:00:00:01',
        addresses: Object.entries(mappings).map(([privateAddress, publicAddress]) => ({
          privateAddress,
          ...(publicAddress !== undefined && { publicAddress }),
          provenance: 'config' as const,
        })),
        subnets: [],
      },
    ],
    localNetworks: [],
  };
}

const configuration: Omit<Configuration, 'stateDirectory' | 'listen'> = {
  provider: 'test',
  configFile: undefined,
  advertise: undefined,
  logLevel: 'info',
  domains: [],
  aliases: [],
  localNetworks: [],
  rtpPorts: { from: 40_000, to: 40_100 },
  realm: 'cloudsip',
  media: 'off',
  unreadableSdp: 'refuse',
  silentCalls: 'report',
  silenceLimits: { initialMs: 60_000, runningMs: 60_000, heldMs: 1_800_000 },
  dscp: 0,
  sdpOrigin: 'replace',
  udp: 'auto',
  static: undefined,
};

describe('the agent', () => {
  let stateDirectory: string;
  let lines: { message: string; details: object }[];
  let logged: (message: RegExp) => Promise<void>;

  beforeEach(async () => {
    stateDirectory = await mkdtemp(join(tmpdir(), 'cloudsip-agent-'));
    lines = [];
    const waiting: { pattern: RegExp; resolve: () => void }[] = [];
    logged = (pattern) =>
      new Promise((resolve) => {
        waiting.push({ pattern, resolve });
        settle();
      });
    const settle = (): void => {
      for (const each of waiting) if (lines.some(({ message }) => each.pattern.test(message))) each.resolve();
    };
    write = (details, message) => {
      lines.push({ message, details });
      settle();
    };
  });
  afterEach(() => rm(stateDirectory, { recursive: true, force: true }));

  let write: (details: object, message: string) => void = () => {};

  function start(cloud: TestCloud, more: Partial<Configuration> = {}): Promise<Agent> {
    const log = {
      debug: () => {},
      info: (details: object, message: string) => write(details, message),
      warn: (details: object, message: string) => write(details, message),
      error: (details: object, message: string) => write(details, message),
    };
    return Agent.start({
      configuration: { ...configuration, stateDirectory, listen: [], ...more },
      providers: [cloud],
      log,
      clock: systemClock,
      env: {},
    });
  }

  /** Asks the agent something over UDP and returns what it answers. */
  async function ask(port: number, text: string): Promise<ReturnType<typeof parseMessage>> {
    const socket = createSocket('udp4');
    try {
      socket.bind(0, '127.0.0.1');
      const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve));
      socket.send(Buffer.from(text, 'latin1'), port, '127.0.0.1');
      return parseMessage((await answer).toString('latin1'));
    } finally {
      socket.close();
    }
  }

  test('serves when it has started, makes two accounts once, and frees everything when it closes', async () => {
    const agent = await start(new TestCloud({ '127.0.0.1': '203.0.113.5' }), { listen: ['udp:127.0.0.1:0'] });
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
    const again = await start(new TestCloud({ '127.0.0.1': '203.0.113.5' }), {
      listen: [`udp:127.0.0.1:${port}`],
    });
    assert.deepEqual(again.newAccounts, []);
    await again.close();
  });

  test('follows the cloud: another public address, a listener that goes, one that comes', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    const port = await freePort();
    const agent = await start(cloud, { listen: [`udp:*:${port}`] });
    const shown = () =>
      agent.listeners.map(({ bound, advertised }) => `${bound.address} as ${advertised?.address ?? '-'}`);
    assert.deepEqual(shown(), ['127.0.0.1 as 203.0.113.5']);
    const [before] = agent.listeners;
    cloud.changed(topology({ '127.0.0.1': '203.0.113.6' }));
    await logged(/the cloud changed/);
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
    const agent = await start(cloud, { listen: ['udp:127.0.0.1:0'] });
    cloud.changed({ ...topology({}), localNetworks: ['not a network'] });
    await logged(/cannot follow/);
    assert.equal(agent.listeners.length, 1);
    await agent.close();
  });

  test('refuses a listener over what it does not speak, and leaves nothing open', async () => {
    const cloud = new TestCloud({ '127.0.0.1': undefined });
    await assert.rejects(start(cloud, { listen: ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0'] }), {
      code: 'agent.transport',
      message: /expected a udp listener/,
    });
  });

  test('refuses an address that the machine does not own', async () => {
    const cloud = new TestCloud({ '127.0.0.1': '203.0.113.5' });
    await assert.rejects(
      start(cloud, { listen: ['udp:203.0.113.5:5060'] }),
      /udp:127\.0\.0\.1:5060 as 203\.0\.113\.5:5060/,
    );
  });
});
