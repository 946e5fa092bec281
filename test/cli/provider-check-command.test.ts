import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { providers } from '../../providers/index.ts';
import { runProviderCheckCommand } from '../../src/cli/provider-check-command.ts';
import { loadPlugin } from '../../src/discovery/load-plugin.ts';
import { systemClock } from '../../src/net/clock.ts';
import { startFakeCloud } from '../support/fake-cloud.ts';
import { quietLog } from '../support/quiet-log.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/providers.md'), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'cloudsip-example-'));
after(() => rmSync(directory, { recursive: true }));

/** The example of the page, as somebody would save it. */
const mine = join(directory, 'mine.ts');
const [, example = ''] = /^```ts\n(.*?)^```$/ms.exec(page) ?? [];
writeFileSync(mine, example);
writeFileSync(join(directory, 'package.json'), '{"type": "module"}\n');

const NICS = JSON.stringify([
  { mac: '02:00:00:00:00:01', private: '10.0.0.5', public: '203.0.113.5', subnet: '10.0.0.0/24' },
  { mac: '02:00:00:00:00:02', private: '10.0.1.5', public: null, subnet: '10.0.1.0/24' },
]);

async function run(
  args: string[],
  env: Record<string, string> = {},
): Promise<[code: number, out: string, err: string]> {
  const collected = () => {
    const chunks: string[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk.toString());
        done();
      },
    });
    return { stream, text: () => chunks.join('') };
  };
  const [stdout, stderr] = [collected(), collected()];
  const code = await runProviderCheckCommand(args, {
    providers,
    clock: systemClock,
    env,
    stdout: stdout.stream,
    stderr: stderr.stream,
  });
  return [code, stdout.text(), stderr.text()];
}

test('the example of the page runs as it stands', async () => {
  assert.ok(example.split('\n').length <= 40, 'thirty lines or so');
  await using cloud = await startFakeCloud({ '/v1/interfaces': NICS });
  const provider = await loadPlugin(mine);
  const own = { name: 'eth7', mac: '02:00:00:00:00:01', internal: false, addresses: [] };
  const facts = { dmi: { sys_vendor: 'My Cloud' }, interfaces: [own] };
  assert.equal(provider.detect(facts), true);
  const context = {
    facts,
    clock: systemClock,
    log: quietLog(),
    env: { MYCLOUD_METADATA: cloud.url },
    configuration: undefined,
  };
  const topology = await provider.discover(context, new AbortController().signal);
  assert.deepEqual(topology.interfaces[0], {
    mac: '02:00:00:00:00:01',
    osName: 'eth7',
    addresses: [{ privateAddress: '10.0.0.5', publicAddress: '203.0.113.5', provenance: 'imds' }],
    subnets: ['10.0.0.0/24'],
  });
  assert.deepEqual(topology.localNetworks, ['10.0.0.0/24', '10.0.1.0/24']);
});

test('and its types are right', async () => {
  const tsconfig = join(directory, 'tsconfig.json');
  const paths = { 'cloudsip/provider-plugin': [join(root, 'src/discovery/provider-plugin.ts')] };
  const compilerOptions = { paths, typeRoots: [join(root, 'node_modules/@types')] };
  writeFileSync(
    tsconfig,
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, include: ['mine.ts'] }),
  );
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    tsconfig,
  ]).catch((error: { stdout: string }) => error);
  assert.equal(stdout, '');
});

test('the command tells what holds', async () => {
  await using cloud = await startFakeCloud({ '/v1/interfaces': NICS });
  const [code, out, err] = await run([mine], { MYCLOUD_METADATA: cloud.url });
  assert.equal(err, '');
  assert.match(out, /^pass {2}detect: It answers at once/);
  assert.match(out, /pass {2}discover: It gave 2 interfaces with 2 addresses in \d+ ms\./);
  assert.match(out, /\n0 failed, 0 to look at, 6 passed, 0 not checked\n$/);
  assert.equal(code, 0);
});

test('and in JSON, with the exit code, what does not', async () => {
  await using cloud = await startFakeCloud({ '/v1/interfaces': NICS.replace('203.0.113.5', 'here') });
  const [code, out] = await run(['--json', mine], { MYCLOUD_METADATA: cloud.url });
  const { verdict, findings } = JSON.parse(out) as {
    verdict: string;
    findings: { check: string; evidence: string }[];
  };
  assert.equal(verdict, 'fail');
  assert.match(
    findings.find(({ check }) => check === 'discover')!.evidence,
    /publicAddress: expected an IP address, found "here"/,
  );
  assert.equal(code, 1);
});

test("cloudsip's own providers go by their names", async () => {
  const [code, out] = await run(['local']);
  assert.match(out, /0 failed/);
  assert.equal(code, 0);
});

test('used wrongly it says how', async () => {
  for (const args of [[], ['a', 'b'], ['--what']]) {
    const [code, out, err] = await run(args);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^Usage:\n {2}cloudsip provider-check PROVIDER \[--json\]\n/);
  }
  const [code, out] = await run(['--help']);
  assert.equal(code, 0);
  assert.match(out, /^Usage:/);
});
