import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needsRoot } from '../support/privileged.ts';
import { runProgram } from '../support/process.ts';

const repository = join(import.meta.dirname, '../..');

describe('deploy/cloudsip.service on a machine that boots', needsRoot, () => {
  let scratch: string;
  let seen: string[];

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'cloudsip-boot-'));
    const namespaces = ['--mount', '--pid', '--ipc', '--net', '--uts', '--cgroup', '--fork', '--kill-child'];
    const script = join(import.meta.dirname, 'boot-unit.sh');
    // The first process of a machine that powers off ends by a signal: what was seen tells how it went.
    const { stderr } = await runProgram('unshare', [...namespaces, 'sh', script, repository, scratch], {
      allowFailure: true,
      timeoutMs: 90_000,
    });
    const text = await readFile(join(scratch, 'seen'), 'utf8').catch(() => '');
    assert.notEqual(text, '', `expected the machine to boot:\n${stderr}`);
    seen = text.trim().split('\n');
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  const sees = (line: string) =>
    assert.ok(seen.includes(line), `expected "${line}" among:\n${seen.join('\n')}`);

  test('tells when it is ready', () => sees('started active'));

  test('runs as a user of its own, with two capabilities: CAP_NET_ADMIN (12) and CAP_BPF (39)', () => {
    sees('runs as cloudsip');
    sees(`capabilities ${((1n << 12n) | (1n << 39n)).toString(16).padStart(16, '0')}`);
  });

  test('loads its program into the kernel, since it may', () => {
    sees('media: settled media is forwarded in the kernel (TCX)');
  });

  test('feeds the watchdog', () => {
    sees('watchdog fed');
    sees('restarts 0');
  });

  test('shares its accounts with root', () => {
    sees('root added nina');
    sees('nina');
    assert.deepEqual(
      seen.filter((line) => line.startsWith('foreign file')),
      [],
    );
  });

  test('stops when it is asked to', () => sees('stopped success 0'));
});
