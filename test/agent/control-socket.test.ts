import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Controlled, ControlSocket } from '../../src/agent/control-socket.ts';
import { Drain } from '../../src/agent/drain.ts';
import { runDrainCommand } from '../../src/cli/drain-command.ts';
import { runRecordCommand } from '../../src/cli/record-command.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

class Text extends Writable {
  text = '';
  readonly #waiting: { pattern: RegExp; resolve: () => void }[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    for (const { pattern, resolve } of this.#waiting) if (pattern.test(this.text)) resolve();
    done();
  }

  shows(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      if (pattern.test(this.text)) resolve();
      else this.#waiting.push({ pattern, resolve });
    });
  }
}

describe('cloudsip drain', () => {
  let directory: string;
  const clock = new ManualClock();
  const work = { calls: 0, transactions: 0 };
  let drain: Drain;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cloudsip-control-'));
    Object.assign(work, { calls: 0, transactions: 0 });
    drain = new Drain({
      clock,
      log: quietLog(),
      timeoutMs: () => 300_000,
      drainOn: () => [],
      acknowledge: () => false,
      work: () => ({ ...work }),
    });
  });
  afterEach(async () => {
    drain.close();
    await rm(directory, { recursive: true, force: true });
  });

  const agent = (): Controlled => ({ drain, calls: () => [], record: () => false });

  function run(stateDir = directory) {
    const stdout = new Text();
    const stderr = new Text();
    return { stdout, stderr, code: runDrainCommand({ stdout, stderr, stateDir }) };
  }

  test('waits, shows what is left, and ends with the agent', async () => {
    const control = await ControlSocket.open(directory, agent(), clock);
    void drain.ended.then(() => control.close());
    work.calls = 2;
    const { stdout, code } = run();
    await stdout.shows(/draining: 2 calls and 0 unanswered requests left, until \S+Z at the latest\n/);
    assert.equal(drain.progress.reason, 'cloudsip drain');
    work.calls = 1;
    clock.advance(1000);
    await stdout.shows(/draining: 1 call and/);
    work.calls = 0;
    clock.advance(3000);
    assert.equal(await code, 0);
    assert.match(stdout.text, /\ndrained: the agent ends\n$/);
  });

  test('tells by its exit code that calls were cut off', async () => {
    const control = await ControlSocket.open(directory, agent(), clock);
    void drain.ended.then(() => control.close());
    work.calls = 1;
    const { stdout, code } = run();
    await stdout.shows(/draining: 1 call/);
    clock.advance(300_000);
    assert.equal(await code, 3);
    assert.match(stdout.text, /the time is up: 1 call and 0 unanswered requests are cut off/);
  });

  test('tells that the agent was ended before', async () => {
    const control = await ControlSocket.open(directory, agent(), clock);
    work.calls = 1;
    const { stdout, stderr, code } = run();
    await stdout.shows(/draining: 1 call/);
    control.close();
    assert.equal(await code, 1);
    assert.match(stderr.text, /^cloudsip: the agent ended before it was drained\n$/);
  });

  test('finds no agent', async () => {
    const { stderr, code } = run(join(directory, 'nowhere'));
    assert.equal(await code, 1);
    assert.match(
      stderr.text,
      /^cloudsip: expected a running agent with the state directory \S+nowhere and found none/,
    );
  });

  test('is for the owner alone, also where the path is longer than a socket address', async () => {
    const deep = join(directory, 'd'.repeat(150));
    await mkdir(deep);
    for (const stateDirectory of [directory, deep]) {
      const control = await ControlSocket.open(stateDirectory, agent(), clock);
      const { mode } = await stat(join(stateDirectory, 'agent.sock'));
      assert.equal((mode & 0o777).toString(8), '600');
      if (stateDirectory === deep) {
        void drain.ended.then(() => control.close());
        assert.equal(await run(deep).code, 0);
      } else control.close();
      await assert.rejects(stat(join(stateDirectory, 'agent.sock')), { code: 'ENOENT' });
    }
  });

  test('what a killed agent left is replaced, and another agent that runs is not', async () => {
    await writeFile(join(directory, 'agent.sock'), '');
    const control = await ControlSocket.open(directory, agent(), clock);
    await assert.rejects(ControlSocket.open(directory, agent(), clock), { code: 'control.taken' });
    control.close();
  });

  test('who only connects, or says half a word, makes room for who means it', async () => {
    const control = await ControlSocket.open(directory, agent(), clock);
    void drain.ended.then(() => control.close());
    const closed: Promise<unknown>[] = [];
    for (let n = 0; n < 16; n++) {
      const socket = connect(join(directory, 'agent.sock'));
      socket.on('error', () => {}).resume();
      closed.push(new Promise((resolve) => socket.on('close', resolve)));
      await new Promise((resolve) => socket.on('connect', resolve));
      if (n % 2 === 0) socket.write('dra');
    }
    // One more is turned away: by then the server has all sixteen.
    assert.equal(await run().code, 1);
    clock.advance(5_000);
    await Promise.all(closed);
    assert.equal(await run().code, 0);
  });

  test('whatever else is said there does nothing', async () => {
    const control = await ControlSocket.open(directory, agent(), clock);
    for (const text of ['stop\n', 'x'.repeat(100_000), 'drainage\n']) {
      const socket = connect(join(directory, 'agent.sock'));
      socket.on('error', () => {});
      let answer = '';
      socket.on('data', (chunk) => (answer += String(chunk)));
      socket.write(text);
      await new Promise((resolve) => socket.on('close', resolve));
      assert.equal(answer, '{"error":"expected drain, calls, or record on|off CALL-ID"}\n');
    }
    assert.equal(drain.progress.state, 'serving');
    control.close();
  });
});

describe('cloudsip record', () => {
  let directory: string;
  let asked: string[];
  const clock = new ManualClock();
  const drain = new Drain({
    clock,
    log: quietLog(),
    timeoutMs: () => 0,
    drainOn: () => [],
    acknowledge: () => false,
    work: () => ({ calls: 0, transactions: 0 }),
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cloudsip-control-'));
    asked = [];
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const stdout = new Text();
    const stderr = new Text();
    const code = await runRecordCommand(args, { stdout, stderr, stateDir: directory });
    return { code, out: stdout.text, err: stderr.text };
  }

  test('begins and ends the recording of a call, and knows none that is not there', async () => {
    const control = await ControlSocket.open(
      directory,
      {
        drain,
        calls: () => [],
        record: (callId, wanted) => {
          asked.push(`${callId} ${wanted}`);
          return callId === 'a1@192.0.2.1';
        },
      },
      clock,
    );
    const out = (text: string) => ({ code: 0, out: text, err: '' });
    assert.deepEqual(await run('a1@192.0.2.1'), out('a1@192.0.2.1 is recorded from now on\n'));
    assert.deepEqual(await run('a1@192.0.2.1', 'off'), out('a1@192.0.2.1 is not recorded any more\n'));
    const { code, err } = await run('strange');
    assert.equal(code, 1);
    assert.match(err, /expected the Call-ID of a call whose media passes here/);
    assert.deepEqual(asked, ['a1@192.0.2.1 true', 'a1@192.0.2.1 false', 'strange true']);
    control.close();
  });

  test('without an agent, or used wrongly, it says what to do', async () => {
    const { code, err } = await run('a1@192.0.2.1');
    assert.equal(code, 1);
    assert.match(err, /expected a running agent/);
    for (const args of [[], ['a b'], ['a', 'maybe'], ['a', 'on', 'more']])
      await assert.rejects(run(...args), { code: 'usage.arguments' });
  });
});
