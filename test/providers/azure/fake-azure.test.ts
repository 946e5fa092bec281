import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startFakeAzure } from '../../support/fake-azure.ts';
import { azureDocuments, TOKEN } from '../../support/fake-azure-document.ts';
import { Program } from '../../support/process.ts';
import { fixture } from './surroundings.ts';

const machine = (publicAddress: string) =>
  azureDocuments({
    nics: [{ mac: '000d3af806ec', addresses: [{ private: '10.0.0.4', public: publicAddress }] }],
  });
const METADATA = { Metadata: 'true' };
const INSTANCE = '/metadata/instance?api-version=2021-08-01';

async function read(url: string, headers: Record<string, string> = METADATA): Promise<[number, unknown]> {
  const response = await fetch(url, { headers });
  return [response.status, await response.json()];
}

test('the stand-in refuses what the real service refuses', async () => {
  await using azure = await startFakeAzure({ documents: machine('203.0.113.5') });
  const at = (path: string, headers?: Record<string, string>) => read(`${azure.url}${path}`, headers);
  assert.equal((await at(INSTANCE, {}))[0], 400);
  assert.equal((await at(INSTANCE, { ...METADATA, 'X-Forwarded-For': '10.0.0.1' }))[0], 400);
  const recorded = fixture('error-missing-api-version.json') as { error: string };
  for (const path of ['/metadata/instance', '/metadata/instance?api-version=2099-01-01']) {
    const [status, body] = await at(path);
    assert.equal(status, 400);
    assert.equal((body as { error: string }).error, recorded.error);
  }
  assert.equal((await at('/metadata/loadbalancer?api-version=2020-10-01'))[0], 404);
  assert.equal((await at('/metadata/nothing?api-version=2020-10-01'))[0], 404);
});

test('the stand-in gives tokens to who has an identity', async () => {
  await using azure = await startFakeAzure({ documents: machine('203.0.113.5') });
  const path = `${azure.url}/metadata/identity/oauth2/token?api-version=2018-02-01`;
  assert.equal((await read(path))[0], 400);
  const [status, body] = await read(`${path}&resource=https://management.azure.com`);
  assert.equal(status, 200);
  assert.equal((body as { access_token: string }).access_token, TOKEN);
  const { token: _gone, ...documents } = azure.documents;
  azure.documents = documents;
  assert.deepEqual(await read(`${path}&resource=https://management.azure.com`), [
    400,
    { error: 'invalid_request', error_description: 'Identity not found' },
  ]);
});

test('as a command it serves a file, and the machine changes with the file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-fake-azure-'));
  const file = join(directory, 'machine.json');
  const write = (address: string): void => {
    writeFileSync(`${file}.new`, JSON.stringify(machine(address)));
    renameSync(`${file}.new`, file);
  };
  write('203.0.113.5');
  const path = fileURLToPath(new URL('../../support/fake-azure.ts', import.meta.url));
  const program = new Program(process.execPath, [
    path,
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--document',
    file,
  ]);
  try {
    const url = (await program.line(/^fake-azure http/)).split(' ')[1]!;
    assert.deepEqual((await read(url + INSTANCE))[1], machine('203.0.113.5').instance);
    write('203.0.113.6');
    assert.deepEqual((await read(url + INSTANCE))[1], machine('203.0.113.6').instance);
  } finally {
    await program.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
