import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { handleOutputFailure } from '../../src/cli/handle-output-failure.ts';

/** An output whose every write fails with this code. */
function broken(code: string): Writable {
  const error = Object.assign(new Error(`write ${code}`), { code });
  return new Writable({ write: (_chunk, _encoding, done) => done(error) });
}

async function write(code: string, isAgent: boolean): Promise<{ exits: number[]; told: string }> {
  const exits: number[] = [];
  let told = '';
  const stdout = broken(code);
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      told += String(chunk);
      done();
    },
  });
  handleOutputFailure({ stdout, stderr }, isAgent, (exitCode) => exits.push(exitCode));
  const closed = new Promise((resolve) => stdout.on('close', resolve));
  stdout.write('text');
  await closed;
  return { exits, told };
}

describe('output that cannot be written', () => {
  test('ends a command, in silence where its reader has gone', async () => {
    assert.deepEqual(await write('EPIPE', false), { exits: [1], told: '' });
  });

  test('ends a command with a sentence where the disk is full', async () => {
    const { exits, told } = await write('ENOSPC', false);
    assert.deepEqual(exits, [1]);
    assert.equal(told, 'cloudsip: the output cannot be written: write ENOSPC\n');
  });

  test('ends no agent: its calls go on when the terminal is gone', async () => {
    assert.deepEqual(await write('EIO', true), { exits: [], told: '' });
  });

  test('of the program itself, without a stack', async () => {
    const main = join(import.meta.dirname, '../../src/main.ts');
    const child = spawn(process.execPath, [main, 'discover', '--provider', 'local'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr)]);
    assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
  });
});
