import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';

const program = join(import.meta.dirname, '../src/main.ts');

describe('the process, while the cloud has not answered yet', () => {
  let directory: string;
  let cloud: Server;
  const connections = new Set<Socket>();
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cloudsip-main-'));
    // A metadata service that takes the question and never answers.
    cloud = createServer((socket) => connections.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(cloud, 'listening');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const socket of connections) socket.destroy();
    connections.clear();
    cloud.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** An agent that is asking the cloud. */
  async function start() {
    const { port } = cloud.address() as { port: number };
    const args = ['--provider', 'ec2', '--state-dir', directory, '--media', 'off'];
    const child = spawn(process.execPath, [program, ...args, '--listen', 'udp:127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}` },
    });
    children.push(child);
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
    await once(cloud, 'connection');
    return { child, output, ended };
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`ends at once by ${signal}, and that is no failure`, async () => {
      const { child, ended, output } = await start();
      child.kill(signal);
      assert.deepEqual(await ended, [0, null]);
      const [stdout, stderr] = await output;
      assert.match(stdout, /"msg":"stopped before it had started"/);
      assert.equal(stderr, '');
    });
  }

  test('ends neither by SIGHUP nor by SIGUSR2', async () => {
    const { child, ended } = await start();
    child.kill('SIGHUP');
    child.kill('SIGUSR2');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  });
});
