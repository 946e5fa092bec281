import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startFakeImds } from '../support/fake-imds.ts';
import { imdsDocument } from '../support/fake-imds-document.ts';

const TTL = 'X-aws-ec2-metadata-token-ttl-seconds';

const put = (url: string, headers: Record<string, string>) =>
  fetch(`${url}/latest/api/token`, { method: 'PUT', headers });

async function read(url: string, path: string): Promise<[status: number, text: string]> {
  const token = await (await put(url, { [TTL]: '60' })).text();
  const headers = { 'X-aws-ec2-metadata-token': token };
  const response = await fetch(`${url}/latest/meta-data/${path}`, { headers });
  return [response.status, await response.text()];
}

const machine = (publicAddress: string) => ({
  nics: [{ mac: '02:00:00:00:00:01', addresses: [{ private: '10.0.0.15', public: publicAddress }] }],
});

test('the stand-in refuses what the real service refuses', async () => {
  await using imds = await startFakeImds({ document: imdsDocument(machine('203.0.113.5')) });
  assert.equal((await put(imds.url, { [TTL]: '60', 'X-Forwarded-For': '10.0.0.1' })).status, 403);
  assert.equal((await put(imds.url, {})).status, 400);
  assert.equal((await put(imds.url, { [TTL]: '21601' })).status, 400);
  assert.equal((await fetch(`${imds.url}/latest/meta-data/mac`)).status, 401);
  assert.equal((await read(imds.url, 'nothing'))[0], 404);
  assert.equal((await read(imds.url, 'constructor'))[0], 404);
  assert.deepEqual(await read(imds.url, 'network/interfaces/macs/'), [200, '02:00:00:00:00:01/']);
});

test('as a command it serves a file, and the machine changes with the file', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-imds-'));
  const file = join(directory, 'machine.json');
  writeFileSync(file, JSON.stringify(machine('203.0.113.5')));
  const program = fileURLToPath(new URL('../support/fake-imds.ts', import.meta.url));
  const child = spawn(process.execPath, [program, '--host', '127.0.0.1', '--port', '0', '--document', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    child.kill();
    await once(child, 'close');
    rmSync(directory, { recursive: true });
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /^fake-imds (\S+)\n/.exec(line.toString())?.[1];
  assert.ok(url);
  assert.deepEqual(await read(url, 'public-ipv4'), [200, '203.0.113.5']);
  writeFileSync(`${file}.new`, JSON.stringify(machine('203.0.113.99')));
  renameSync(`${file}.new`, file);
  assert.deepEqual(await read(url, 'public-ipv4'), [200, '203.0.113.99']);
  writeFileSync(file, '{"nics": [');
  assert.deepEqual(await read(url, 'public-ipv4'), [200, '203.0.113.99']);
});
