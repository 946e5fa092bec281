import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ApiMemory } from '../../../providers/gcp/api-memory.ts';
import { discover } from '../../../providers/gcp/discover.ts';
import type { Topology } from '../../../src/discovery/topology.ts';
import { type FakeCompute, startFakeCompute } from '../../support/fake-compute.ts';
import { type ComputeProject, computeProject } from '../../support/fake-compute-project.ts';
import { type FakeGce, startFakeGce } from '../../support/fake-gce.ts';
import { fullScopes, type GceDescription, gceDocument, gceProject } from '../../support/fake-gce-document.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { contextOf, failureOf, NIC, os } from './gcp-machine.ts';

const SILENT = { mac: NIC.mac, ip: '10.0.0.15', subnetmask: '255.255.255.0' };
const ACCOUNT = computeProject([{ address: '10.0.0.15', external: '203.0.113.5' }]);

interface Cloud extends AsyncDisposable {
  readonly gce: FakeGce;
  readonly compute: FakeCompute;
  ask(memory?: ApiMemory): Promise<Topology>;
}

async function cloudOf(
  machine: GceDescription,
  account: ComputeProject = ACCOUNT,
  env: Record<string, string> = {},
): Promise<Cloud> {
  const gce = await startFakeGce(gceDocument({ scopes: fullScopes, ...machine }));
  const compute = await startFakeCompute(account);
  // The waits of nobody: the SDK lives in a process of its own.
  const clock = new ManualClock();
  const context = contextOf(gce.url, {
    clock,
    interfaces: [os('ens4', NIC.mac, '10.0.0.15')],
    env: {
      CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${compute.url}/compute/v1/`,
      HOME: '/nonexistent',
      ...env,
    },
  });
  return {
    gce,
    compute,
    ask: (memory) => discover(context, new AbortController().signal, memory),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([gce.close(), compute.close()]);
    },
  };
}

test('an interface of whose access configs nothing is said is asked about at the API', async () => {
  await using cloud = await cloudOf({ nics: [SILENT] });
  const { interfaces, notes } = await cloud.ask();
  assert.deepEqual(interfaces[0]?.addresses, [
    { privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'api' },
  ]);
  assert.equal(notes, undefined);
  const [asked] = cloud.compute.requests;
  assert.match(
    asked!,
    /^GET \/compute\/v1\/projects\/lab-project\/zones\/europe-west3-a\/instances\/sip-edge\?/,
  );
});

test('where metadata says "none" on the whole machine and the API names one, both are shown', async () => {
  await using cloud = await cloudOf({ nics: [{ ...SILENT, external: null }] });
  const { interfaces } = await cloud.ask();
  assert.deepEqual(interfaces[0]?.addresses, [
    {
      privateAddress: '10.0.0.15',
      publicAddress: '203.0.113.5',
      provenance: 'api',
      disagreements: [{ provenance: 'imds' }],
    },
  ]);
});

test('metadata goes first where it says something; what the API says otherwise stands beside it', async () => {
  const second = { mac: '42:01:0a:00:01:0f', ip: '10.0.1.15' };
  const account = computeProject([
    { address: '10.0.0.15', external: '203.0.113.99' },
    { address: '10.0.1.15' },
  ]);
  await using cloud = await cloudOf({ nics: [NIC, second] }, account);
  const { interfaces } = await cloud.ask();
  assert.deepEqual(
    interfaces.map(({ addresses }) => addresses),
    [
      [
        {
          privateAddress: '10.0.0.15',
          publicAddress: '203.0.113.5',
          provenance: 'imds',
          disagreements: [{ provenance: 'api', publicAddress: '203.0.113.99' }],
        },
      ],
      [{ privateAddress: '10.0.1.15', provenance: 'api' }],
    ],
  );
});

test('a machine that metadata tells all of starts no process', async () => {
  await using cloud = await cloudOf({
    nics: [NIC, { ...SILENT, mac: '42:01:0a:00:01:0f', ip: '10.0.1.15', external: null }],
  });
  await cloud.ask();
  assert.deepEqual(cloud.compute.requests, []);
});

test('without a scope for Compute an empty access config is believed, and nobody is asked in vain', async () => {
  const { scopes: _none, ...description } = { nics: [{ ...SILENT, external: null }], scopes: null };
  await using cloud = await cloudOf({
    ...description,
    scopes: ['https://www.googleapis.com/auth/logging.write'],
  });
  const { interfaces, notes } = await cloud.ask();
  assert.deepEqual(interfaces[0]?.addresses, [{ privateAddress: '10.0.0.15', provenance: 'imds' }]);
  assert.deepEqual([cloud.compute.requests, notes], [[], undefined]);
});

test('the default scopes: what is missing is said with the commands to paste', async () => {
  await using cloud = await cloudOf({
    nics: [SILENT],
    scopes: ['https://www.googleapis.com/auth/logging.write'],
  });
  const { interfaces, notes } = await cloud.ask();
  assert.deepEqual(interfaces[0]?.addresses, [
    { privateAddress: '10.0.0.15', provenance: 'imds', publicUnknown: true },
  ]);
  assert.match(notes?.[0] ?? '', /403: the access scopes of this machine hold none for Compute/);
  assert.match(
    notes?.[0] ?? '',
    /gcloud compute instances set-service-account sip-edge --project=lab-project --zone=europe-west3-a --service-account=123456789012-compute@developer\.gserviceaccount\.com --scopes=cloud-platform/,
  );
});

test('a right that is missing is named with the least role', async () => {
  await using cloud = await cloudOf({ nics: [SILENT] }, { ...ACCOUNT, denied: ['compute.instances.get'] });
  const { notes } = await cloud.ask();
  assert.match(
    notes?.[0] ?? '',
    /compute\.instances\.get: expected an answer, came 403: the machine's account lacks that right/,
  );
  assert.match(
    notes?.[0] ?? '',
    /gcloud iam roles create cloudsip --project=lab-project --permissions=compute\.instances\.get,/,
  );
});

test('a machine without a service account is told so', async () => {
  await using cloud = await cloudOf({ nics: [SILENT], scopes: null });
  const { notes } = await cloud.ask();
  assert.match(notes?.[0] ?? '', /no credentials: this machine has no service account/);
});

test('one watch asks once for the same metadata, and keeps the answer when the API fails later', async () => {
  await using cloud = await cloudOf({ nics: [SILENT] });
  const memory: ApiMemory = {};
  const first = await cloud.ask(memory);
  assert.deepEqual(await cloud.ask(memory), first);
  assert.equal(cloud.compute.requests.length, 1);
  cloud.compute.fault = () => ({ status: 500, body: '{}' });
  cloud.gce.replace(gceDocument({ scopes: fullScopes, nics: [{ ...SILENT, mtu: 1500 }] }));
  const { interfaces } = await cloud.ask(memory);
  assert.deepEqual(interfaces[0], { ...first.interfaces[0], mtu: 1500 });
});

test("who runs by the API's word is told of its failure, and not that there is no address", async () => {
  await using cloud = await cloudOf({ nics: [SILENT] });
  cloud.compute.fault = () => ({ status: 500, body: '{}' });
  const error = await failureOf(cloud.ask({ relied: true }));
  assert.equal(error.code, 'discovery.api-failed');
});

describe('without a metadata server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cloudsip-gcp-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const keyFile = join(directory, 'key.json');
  const tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, 'a token of another house');
  /** A workload that is known elsewhere: its token is exchanged for one of Google's. */
  const credentialsAt = (url: string): void =>
    writeFileSync(
      keyFile,
      JSON.stringify({
        type: 'external_account',
        audience:
          '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/house',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${url}/v1/token`,
        credential_source: { file: tokenFile },
      }),
    );
  const env = { GOOGLE_APPLICATION_CREDENTIALS: keyFile, GOOGLE_CLOUD_PROJECT: gceProject };
  const name = hostname().split('.')[0]!;
  const named = (account: ComputeProject): ComputeProject => ({
    ...account,
    instance: { ...account.instance, name },
  });

  test("the API is asked with credentials of one's own, for the instance of this name and address", async () => {
    await using cloud = await cloudOf({ nics: [] }, named(ACCOUNT), env);
    credentialsAt(cloud.compute.url);
    cloud.gce.fault = () => ({ status: 403 });
    const { interfaces, notes } = await cloud.ask();
    assert.deepEqual(interfaces, [
      {
        mac: NIC.mac,
        osName: 'ens4',
        id: 'nic0',
        addresses: [{ privateAddress: '10.0.0.15', publicAddress: '203.0.113.5', provenance: 'api' }],
        subnets: [],
      },
    ]);
    assert.match(
      notes?.[0] ?? '',
      /gave no answer \(discovery\.metadata-forbidden\), so all of this is from the Compute API/,
    );
    assert.match(cloud.compute.requests.at(-1)!, /projects\/lab-project\/aggregated\/instances\?/);
  });

  test('another instance of that name is not taken for this one', async () => {
    const other = named(computeProject([{ address: '10.9.9.9', external: '203.0.113.66' }]));
    await using cloud = await cloudOf({ nics: [] }, other, env);
    credentialsAt(cloud.compute.url);
    cloud.gce.fault = () => ({ status: 403 });
    const error = await failureOf(cloud.ask());
    assert.match(
      error.message,
      /came 403.* The Compute API gave no answer either: .*one of this machine's addresses, came 1 of that name without it/,
    );
  });

  test("without credentials the error is the metadata server's", async () => {
    await using cloud = await cloudOf({ nics: [] });
    cloud.gce.fault = () => ({ status: 403 });
    assert.equal((await failureOf(cloud.ask())).code, 'discovery.metadata-forbidden');
    assert.deepEqual(cloud.compute.requests, []);
  });
});

test('an endpoint that is none is refused with its name', async () => {
  const env = { CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: 'compute.internal' };
  await using cloud = await cloudOf({ nics: [SILENT] }, ACCOUNT, env);
  const { notes } = await cloud.ask();
  assert.match(notes?.[0] ?? '', /CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE must be a URL/);
});

test('a proxy of the environment is not asked for the token', async () => {
  const env = { HTTP_PROXY: 'http://127.0.0.1:9', http_proxy: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.2' };
  await using cloud = await cloudOf({ nics: [SILENT] }, ACCOUNT, env);
  const { interfaces } = await cloud.ask();
  assert.equal(interfaces[0]?.addresses[0]?.publicAddress, '203.0.113.5');
});

test('the SDK is imported by the program of the child alone, and that by nobody', () => {
  const directory = new URL('../../../providers/', import.meta.url);
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const importing = (what: RegExp): string[] =>
    files.filter((name) => what.test(readFileSync(new URL(name, directory), 'utf8')));
  assert.deepEqual(importing(/^import (?!type)[^;]*'@google-cloud/m), []);
  assert.deepEqual(importing(/import\('@google-cloud/), ['gcp/api.ts']);
  assert.deepEqual(importing(/^import [^;]*'.*gcp\/api\.ts'/m), []);
});
