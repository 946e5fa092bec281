import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentLog } from '../../src/agent/follower.ts';
import type { ConfigurationLayers } from '../../src/agent/live-configuration.ts';
import { Agent } from '../../src/agent.ts';
import { readConfiguration } from '../../src/cli/read-configuration.ts';
import type { Notice } from '../../src/discovery/notice.ts';
import type { Provider } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { type Clock, systemClock } from '../../src/net/clock.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';

type Mappings = Readonly<Record<string, string | undefined>>;
type CloudOptions = Readonly<Record<string, string>>;

/** A cloud on loopback, whose map can be changed and who gives notice while the agent runs. */
export class TestCloud implements Provider {
  readonly name = 'test';
  changed: (topology: Topology) => void = () => {};
  notify: (notice: Notice) => void = () => {};
  readonly #topology: Topology;

  constructor(mappings: Mappings, options: CloudOptions = {}) {
    this.#topology = topologyOf(mappings, options);
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

  watchNotices(_context: unknown, notify: (notice: Notice) => void): void {
    this.notify = notify;
  }
}

/** One card with these private addresses, each with the public one in front of it. */
export function topologyOf(mappings: Mappings, options: CloudOptions = {}): Topology {
  return {
    provider: 'test',
    options,
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

/** A UDP port that is free on loopback now. */
export async function freePort(): Promise<number> {
  const socket = await bound();
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Asks an agent something over UDP and returns what it answers. */
export async function ask(port: number, text: string): Promise<Message> {
  const socket = await bound();
  try {
    const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve));
    socket.send(Buffer.from(text, 'latin1'), port, '127.0.0.1');
    const message = parseMessage((await answer).toString('latin1'));
    assert.ok(message);
    return message;
  } finally {
    socket.close();
  }
}

/** Agents of one state directory, with flags as a person writes them, and the lines that they log. */
export class AgentHarness implements AsyncDisposable {
  readonly stateDirectory: string;
  readonly lines: { message: string; details: object }[] = [];
  readonly log: AgentLog;
  /** What the configuration file says; it is read where `--config` is among the flags. */
  file = '';
  /** Gives a start up. */
  signal: AbortSignal | undefined;
  readonly #agents: Agent[] = [];
  readonly #waiting: { condition: () => boolean; resolve: () => void }[] = [];

  private constructor(stateDirectory: string) {
    this.stateDirectory = stateDirectory;
    const write = (details: object, message: string): void => {
      this.lines.push({ message, details });
      for (const { condition, resolve } of this.#waiting) if (condition()) resolve();
    };
    this.log = { level: 'info', debug: () => {}, info: write, warn: write, error: write };
  }

  static async make(): Promise<AgentHarness> {
    return new AgentHarness(await mkdtemp(join(tmpdir(), 'cloudsip-agent-')));
  }

  /** The lines with this message. */
  told(message: RegExp): { message: string; details: object }[] {
    return this.lines.filter((line) => message.test(line.message));
  }

  /** Resolves when so many lines have this message. */
  logged(message: RegExp, count = 1): Promise<void> {
    const condition = (): boolean => this.told(message).length >= count;
    return new Promise((resolve) => {
      if (condition()) resolve();
      else this.#waiting.push({ condition, resolve });
    });
  }

  start(cloud: Provider, ...flags: readonly string[]): Promise<Agent> {
    return this.startAt(systemClock, cloud, ...flags);
  }

  async startAt(clock: Clock, cloud: Provider, ...flags: readonly string[]): Promise<Agent> {
    const argv = ['--state-dir', this.stateDirectory, '--media', 'off', ...flags];
    const invocation = await readConfiguration(argv, {}, () => this.file, { providers: [cloud.name] });
    assert.equal(invocation.kind, 'run');
    const layers: ConfigurationLayers = (invocation as Extract<typeof invocation, { kind: 'run' }>).source;
    const agent = await Agent.start({
      configuration: layers,
      providers: [cloud],
      log: this.log,
      clock,
      env: {},
      ...(this.signal && { signal: this.signal }),
    });
    this.#agents.push(agent);
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await rm(this.stateDirectory, { recursive: true, force: true });
  }
}

function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', () => resolve(socket));
  });
}
