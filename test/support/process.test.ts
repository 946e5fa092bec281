import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Program, runProgram } from './process.ts';

describe('a program under test', () => {
  test('tells its lines, past and future, of both streams', async () => {
    await using program = new Program('sh', ['-c', 'echo one; echo two >&2; read word; echo "got $word"']);
    assert.equal(await program.line(/one/), 'one');
    assert.equal(await program.line(/two/), 'two');
    program.write('bread\n');
    assert.equal(await program.line(/^got/), 'got bread');
    assert.deepEqual(await program.exited, { exitCode: 0, signal: null });
    assert.equal(await program.line(/one/), 'one');
  });

  test('is killed when it does not end when asked', async () => {
    const program = new Program('sh', ['-c', 'trap "" TERM; echo ready; while :; do read word; done'], {});
    await program.line(/ready/);
    assert.deepEqual(await program.stop('SIGTERM', 50), { exitCode: null, signal: 'SIGKILL' });
  });

  test('that keeps silent or ends too soon fails the wait, with what it said', async () => {
    await using silent = new Program('sh', ['-c', 'echo something else; read word']);
    await silent.line(/else/);
    await assert.rejects(
      silent.line(/never/, { timeoutMs: 20 }),
      /nothing like \/never\/ in 20 ms\.\nsomething else/,
    );
    await using short = new Program('sh', ['-c', 'echo oops; exit 3']);
    await assert.rejects(short.line(/never/), /ended \(exit code 3\) before it printed \/never\/\.\noops/);
  });

  test('that does not exist says so', async () => {
    const program = new Program('/nonexistent/program', []);
    assert.deepEqual(await program.exited, { exitCode: null, signal: null });
    assert.match(program.output, /cannot start .*ENOENT/);
  });

  test('that should have ended by itself is killed when time is up', async () => {
    await using program = new Program('sh', ['-c', 'read word']);
    await assert.rejects(program.ended(20), { code: 'ERR_TEST_PROGRAM' });
  });
});

test('a command that fails rejects with what it wrote, unless failure is allowed', async () => {
  const command = ['-c', 'cat; echo bad >&2; exit 4'];
  await assert.rejects(runProgram('sh', command, { input: 'in' }), /exit code 4\nbad/);
  const { stdout, stderr, exitCode } = await runProgram('sh', command, { input: 'in', allowFailure: true });
  assert.deepEqual({ stdout, stderr, exitCode }, { stdout: 'in', stderr: 'bad\n', exitCode: 4 });
});
