import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../providers/index.ts';
import type { DiscoveryContext, Provider } from '../../src/discovery/provider.ts';
import { examineProvider } from '../../src/discovery/provider-conformance.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { systemClock } from '../../src/net/clock.ts';
import { readOsInterfaces } from '../../src/net/os-interfaces.ts';
import { startFakeAzure } from '../support/fake-azure.ts';
import { azureDocuments } from '../support/fake-azure-document.ts';
import { startFakeCloud } from '../support/fake-cloud.ts';
import { cloudModels } from '../support/fake-clouds.ts';
import { startFakeGce } from '../support/fake-gce.ts';
import { gceDocument } from '../support/fake-gce-document.ts';
import { startFakeImds } from '../support/fake-imds.ts';
import { imdsDocument } from '../support/fake-imds-document.ts';
import { quietLog } from '../support/quiet-log.ts';

const LIMITS = { discoverMs: 10_000, stopMs: 300 };
const contextOf = (more: Partial<DiscoveryContext> = {}): DiscoveryContext => ({
  facts: { dmi: {}, interfaces: readOsInterfaces() },
  clock: systemClock,
  log: quietLog(),
  env: {},
  configuration: undefined,
  ...more,
});

async function verdicts(provider: Provider, context = contextOf()): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { check, verdict, evidence, remedy } of examineProvider(provider, context, LIMITS)) {
    found[check] = verdict === 'pass' ? 'pass' : `${verdict}: ${evidence}`;
    assert.equal(remedy === undefined, verdict === 'pass', check);
  }
  return found;
}

const ALL_PASS = {
  detect: 'pass',
  discover: 'pass',
  'plain-value': 'pass',
  repeatable: 'pass',
  stop: 'pass',
  watch: 'pass',
};
const provider = (name: string): Provider => providers.find((each) => each.name === name)!;

describe('kept by', () => {
  for (const [name, model] of Object.entries(cloudModels)) {
    test(name, async () => {
      await using cloud = await startFakeCloud(model.documents, model.gate?.().gate);
      const context = contextOf({ env: { CLOUDSIP_METADATA_ENDPOINT: cloud.url } });
      assert.deepEqual(await verdicts(provider(name), context), ALL_PASS);
    });
  }

  test('ec2', async () => {
    const nics = [{ mac: '02:00:00:00:00:01', addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] }];
    await using imds = await startFakeImds({ document: imdsDocument({ nics }) });
    const context = contextOf({ env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url } });
    assert.deepEqual(await verdicts(provider('ec2'), context), ALL_PASS);
  });

  test('gcp', async () => {
    const nics = [
      { mac: '42:01:0a:00:00:0f', ip: '10.0.0.15', subnetmask: '255.255.255.0', external: '203.0.113.5' },
    ];
    await using gce = await startFakeGce(gceDocument({ nics }));
    const context = contextOf({ env: { GCE_METADATA_HOST: gce.url.replace('http://', '') } });
    assert.deepEqual(await verdicts(provider('gcp'), context), ALL_PASS);
  });

  test('azure', async () => {
    const nics = [{ mac: '00:0d:3a:00:00:01', addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] }];
    await using imds = await startFakeAzure({ documents: azureDocuments({ nics }, 'instance') });
    const context = contextOf({ env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.url } });
    assert.deepEqual(await verdicts(provider('azure'), context), ALL_PASS);
  });

  test('static', async () => {
    const configuration = { addresses: [{ private: '10.0.0.15', public: '203.0.113.5' }] };
    assert.deepEqual(await verdicts(provider('static'), contextOf({ configuration })), ALL_PASS);
  });

  test('local', async () => assert.deepEqual(await verdicts(provider('local')), ALL_PASS));
});

describe('broken by', () => {
  const topology: Topology = {
    provider: 'mine',
    interfaces: [{ mac: '02:00:00:00:00:01', addresses: [], subnets: [] }],
    localNetworks: [],
  };
  const good: Provider = {
    name: 'mine',
    detect: () => false,
    discover: () => Promise.resolve(topology),
    watch: () => {},
  };
  let count = 0;
  const cases: [what: string, change: Partial<Provider>, check: string, words: RegExp][] = [
    [
      'detect that asks',
      { detect: (() => Promise.resolve(true)) as never },
      'detect',
      /^fail: detect gave a promise/,
    ],
    [
      'detect that expects facts',
      { detect: ({ dmi }) => dmi['sys_vendor']!.startsWith('x') },
      'detect',
      /^fail: detect throws/,
    ],
    [
      'detect that rolls dice',
      { detect: () => count++ % 2 === 0 },
      'detect',
      /^fail: detect gave two answers/,
    ],
    [
      'detect that takes every machine',
      { detect: () => true },
      'detect',
      /^warn: detect recognises a machine that says nothing/,
    ],
    [
      'discover that fails',
      { discover: () => Promise.reject(new Error('no cloud')) },
      'discover',
      /^fail: discover failed: no cloud/,
    ],
    [
      'a topology of another name',
      { discover: () => Promise.resolve({ ...topology, provider: 'x' }) },
      'discover',
      /provider: expected "mine"/,
    ],
    [
      'a value that is not plain',
      {
        discover: () =>
          Promise.resolve({
            ...topology,
            options: Object.create({ domain: 'x' }),
            localNetworks: Object.assign(['10.0.0.0/8'], { toJSON: () => [] }),
          }),
      },
      'plain-value',
      /^fail: The topology is not the same/,
    ],
    [
      'an answer that changes',
      { discover: () => Promise.resolve({ ...topology, notes: [`asked ${count++} times`] }) },
      'repeatable',
      /^fail: Asked again at once/,
    ],
    [
      'discover that does not listen to its signal',
      {
        discover: (_context, signal) => (signal.aborted ? new Promise(() => {}) : Promise.resolve(topology)),
      },
      'stop',
      /^fail: discover did not end within 300 ms/,
    ],
    [
      'watch that goes on',
      { watch: ({ clock }) => void clock.schedule(() => {}, 60_000) },
      'watch',
      /^fail: watch left 1 timers/,
    ],
    [
      'watch that throws',
      {
        watch: () => {
          throw new Error('not today');
        },
      },
      'watch',
      /^fail: watch throws: not today/,
    ],
  ];
  for (const [what, change, check, words] of cases) {
    test(what, async () => {
      const found = await verdicts({ ...good, ...change });
      assert.match(found[check] ?? 'not checked', words);
    });
  }
});
