import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armCloud } from '../../../providers/azure/arm-cloud.ts';
import { azure } from '../../../providers/azure.ts';
import type { AddressMapping, Topology } from '../../../src/discovery/topology.ts';
import type { ArmResource } from '../../support/fake-arm-document.ts';
import { type AzureVmDescription, azureDocuments, SUBSCRIPTION } from '../../support/fake-azure-document.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { pairs, startFakeCloud } from './surroundings.ts';

const never = (): AbortSignal => new AbortController().signal;
const VM: AzureVmDescription = {
  nics: [
    {
      mac: '00:0d:3a:f8:06:ec',
      subnetCidr: '10.0.0.0/24',
      addresses: [{ private: '10.0.0.4', public: '203.0.113.5' }, { private: '10.0.0.5' }],
    },
    {
      mac: '00:0d:3a:f8:06:ed',
      subnetCidr: '10.0.1.0/24',
      addresses: [{ private: '10.0.1.4', public: '203.0.113.7' }],
    },
  ],
};
const addresses = ({ interfaces }: Topology): AddressMapping[] => interfaces.flatMap((nic) => nic.addresses);
const listings = (requests: readonly { path: string }[]): number =>
  requests.filter(({ path }) => path.endsWith('/networkInterfaces')).length;

test('what metadata leaves out the Resource Manager tells, over pages, with the networks', async () => {
  await using cloud = await startFakeCloud(VM);
  assert.deepEqual(await azure.discover(cloud.context(), never()), {
    provider: 'azure',
    interfaces: [
      {
        mac: '00:0d:3a:f8:06:ec',
        id: 'nic-0',
        addresses: [
          { privateAddress: '10.0.0.4', publicAddress: '203.0.113.5', provenance: 'api' },
          { privateAddress: '10.0.0.5', provenance: 'api' },
        ],
        subnets: ['10.0.0.0/24'],
      },
      {
        mac: '00:0d:3a:f8:06:ed',
        id: 'nic-1',
        addresses: [{ privateAddress: '10.0.1.4', publicAddress: '203.0.113.7', provenance: 'api' }],
        subnets: ['10.0.1.0/24'],
      },
    ],
    // Of the peered networks only the connected one.
    localNetworks: ['10.0.0.0/24', '10.0.1.0/24', '10.0.0.0/16', '10.9.0.0/16'],
  });
  assert.equal(listings(cloud.arm.requests), 3);
});

test('a public address of another subscription, and a card of another group, are found too', async () => {
  const [first, second] = VM.nics;
  await using cloud = await startFakeCloud({ nics: [first!, { ...second!, resourceGroup: 'shared' }] });
  const { arm } = cloud;
  const text = JSON.stringify(arm.document);
  const foreign =
    /\/subscriptions\/[^/"]*\/resourceGroups\/voice(\/providers\/Microsoft\.Network\/publicIPAddresses\/)/g;
  arm.document = JSON.parse(
    text.replace(foreign, '/subscriptions/another/resourceGroups/addresses$1'),
  ) as typeof arm.document;
  assert.deepEqual((await azure.discover(cloud.context(), never())).interfaces.map(pairs), [
    [
      ['10.0.0.4', '203.0.113.5'],
      ['10.0.0.5', undefined],
    ],
    [['10.0.1.4', '203.0.113.7']],
  ]);
  const paths = arm.requests.map(({ path }) => path);
  assert.ok(paths.some((path) => path.startsWith('/subscriptions/another/resourceGroups/addresses/')));
  assert.ok(paths.includes(`/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Network/networkInterfaces`));
});

test('an instance of a uniform scale set is asked for by its number', async () => {
  await using cloud = await startFakeCloud({ ...VM, scaleSet: 'edges', name: '7' });
  const { interfaces } = await azure.discover(cloud.context(), never());
  assert.deepEqual(pairs(interfaces[0]), [
    ['10.0.0.4', '203.0.113.5'],
    ['10.0.0.5', undefined],
  ]);
  assert.ok(
    cloud.arm.requests.every(
      ({ path }) =>
        path.includes('/virtualMachineScaleSets/edges/virtualMachines/7/') ||
        path.includes('/virtualNetworks/'),
    ),
  );
});

test('a VM of a flexible scale set is a VM', async () => {
  await using cloud = await startFakeCloud(VM);
  const { compute, network } = cloud.imds.documents.instance as { compute: object; network: object };
  const instance = { compute: { ...compute, vmScaleSetName: 'edges' }, network };
  cloud.imds.documents = { ...cloud.imds.documents, instance };
  // Its load balancer's metadata is out of order besides: nobody depends on it here.
  cloud.imds.fault = ({ path }) => (path === '/metadata/loadbalancer' ? { status: 500 } : undefined);
  const topology = await azure.discover(cloud.context(), never());
  assert.deepEqual(
    addresses(topology).map(({ publicAddress }) => publicAddress),
    ['203.0.113.5', undefined, '203.0.113.7'],
  );
});

test('what stands between machine and internet for all is no public address of the machine', async () => {
  await using cloud = await startFakeCloud({
    nics: [{ mac: VM.nics[0]!.mac, addresses: [{ private: '10.0.0.4' }] }],
  });
  const { arm } = cloud;
  const behind = (id: string): { id: string } => ({
    id: `/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/${id}`,
  });
  const networkInterfaces = arm.document.networkInterfaces.map((nic) =>
    withConfiguration(nic, {
      loadBalancerBackendAddressPools: [behind('loadBalancers/lb/backendAddressPools/all')],
      loadBalancerInboundNatRules: [behind('loadBalancers/lb/inboundNatRules/ssh')],
    }),
  );
  arm.document = { ...arm.document, networkInterfaces };
  const topology = await azure.discover(cloud.context(), never());
  assert.deepEqual(addresses(topology), [{ privateAddress: '10.0.0.4', provenance: 'api' }]);
});

function withConfiguration(nic: ArmResource, more: object): ArmResource {
  const properties = nic['properties'] as { ipConfigurations: { properties: object }[] };
  const ipConfigurations = properties.ipConfigurations.map((entry) => ({
    ...entry,
    properties: { ...entry.properties, ...more },
  }));
  return { ...nic, properties: { ...properties, ipConfigurations } };
}

for (const [what, more, unknown, words] of [
  [
    'the right to list interfaces',
    { denied: ['Microsoft.Network/networkInterfaces/read'] },
    ['10.0.0.4', '10.0.0.5', '10.0.1.4'],
    /networkInterfaces\/read: expected an answer, came 403: the identity lacks that right.*Give the VM the rights/,
  ],
  [
    'the right to read public addresses',
    { denied: ['Microsoft.Network/publicIPAddresses/read'] },
    // Of the other it is known that there is none.
    ['10.0.0.4', '10.0.1.4'],
    /publicIPAddresses\/read: expected an answer, came 403.*--listen 'udp:10\.0\.0\.4 as PUBLIC-ADDRESS'/,
  ],
  [
    'a token that counts',
    { token: 'of somebody else' },
    ['10.0.0.4', '10.0.0.5', '10.0.1.4'],
    /came 401: the identity's token is not accepted there/,
  ],
] as const) {
  test(`without ${what} discovery succeeds and says what it does not know`, async () => {
    await using cloud = await startFakeCloud(VM, more);
    const topology = await azure.discover(cloud.context(), never());
    const found = addresses(topology).filter(({ publicUnknown }) => publicUnknown);
    assert.deepEqual(
      found.map(({ privateAddress }) => privateAddress),
      unknown,
    );
    assert.equal(topology.notes?.length, 1);
    assert.match(topology.notes[0]!, words);
    assert.ok(!topology.notes[0]!.includes('\n'));
  });
}

test('a missing right to read the networks costs their prefixes alone', async () => {
  await using cloud = await startFakeCloud(VM, { denied: ['Microsoft.Network/virtualNetworks/read'] });
  const topology = await azure.discover(cloud.context(), never());
  assert.deepEqual(topology.localNetworks, ['10.0.0.0/24', '10.0.1.0/24']);
  assert.equal(topology.notes, undefined);
});

test('a machine without identity says so, at once, and nobody but the metadata service was asked', async () => {
  await using cloud = await startFakeCloud(VM);
  const { token: _gone, ...documents } = cloud.imds.documents;
  cloud.imds.documents = documents;
  const context = cloud.context({
    env: { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.1' },
  });
  const topology = await azure.discover(context, never());
  assert.ok(addresses(topology).every(({ publicUnknown }) => publicUnknown));
  assert.match(
    topology.notes![0]!,
    /came no credentials \(.*Give the VM an identity with the rights Microsoft/,
  );
  assert.equal(cloud.arm.requests.length, 0);
});

test("credentials in the environment go before the machine's own identity", async () => {
  await using cloud = await startFakeCloud(VM);
  const env = {
    AZURE_AUTHORITY_HOST: cloud.arm.url,
    AZURE_TENANT_ID: 'a-tenant',
    AZURE_CLIENT_ID: 'a-client',
    AZURE_CLIENT_SECRET: 'a-secret',
  };
  const topology = await azure.discover(cloud.context({ env }), never());
  assert.equal(addresses(topology)[0]?.publicAddress, '203.0.113.5');
  assert.ok(cloud.arm.requests.some(({ path }) => path === '/a-tenant/oauth2/v2.0/token'));
  assert.ok(cloud.imds.requests.every(({ path }) => !path.includes('identity')));
});

test('what metadata tells goes first, and the Resource Manager is shown beside it where it differs', async () => {
  await using cloud = await startFakeCloud(VM);
  const [first, second] = VM.nics;
  const told = [
    { ...first!, addresses: [{ private: '10.0.0.4', public: '203.0.113.99' }, { private: '10.0.0.5' }] },
    { ...second!, addresses: [{ private: '10.0.1.4' }] },
  ];
  cloud.imds.documents = azureDocuments({ nics: told });
  assert.deepEqual(addresses(await azure.discover(cloud.context(), never())), [
    {
      privateAddress: '10.0.0.4',
      publicAddress: '203.0.113.99',
      provenance: 'imds',
      disagreements: [{ provenance: 'api', publicAddress: '203.0.113.5' }],
    },
    { privateAddress: '10.0.0.5', provenance: 'api' },
    { privateAddress: '10.0.1.4', publicAddress: '203.0.113.7', provenance: 'api' },
  ]);
});

test('where metadata tells every address the Resource Manager is not asked', async () => {
  await using cloud = await startFakeCloud(VM);
  const nics = VM.nics.map((nic) => ({ ...nic, addresses: nic.addresses.slice(0, 1) }));
  cloud.imds.documents = azureDocuments({ nics }, 'loadbalancer');
  const topology = await azure.discover(cloud.context(), never());
  assert.ok(
    addresses(topology).every(({ provenance, publicAddress }) => provenance === 'imds' && publicAddress),
  );
  assert.equal(cloud.arm.requests.length, 0);
});

test('an answer is remembered while the metadata says the same, and outlives a Resource Manager that fails', async () => {
  await using cloud = await startFakeCloud(VM);
  const clock = new ManualClock();
  const context = cloud.context({ clock });
  const discover = async (afterMs: number): Promise<Topology> => {
    clock.advance(afterMs);
    return azure.discover(context, never());
  };
  const first = await discover(0);
  const asked = listings(cloud.arm.requests);
  assert.deepEqual(await discover(15_000), first);
  assert.deepEqual(await discover(280_000), first);
  assert.equal(listings(cloud.arm.requests), asked, 'asked for nothing new');

  await discover(10_000);
  assert.equal(listings(cloud.arm.requests), 2 * asked, 'asked again after five minutes');

  // A card that was plugged in is asked about at once; what fails then leaves the others as they are.
  cloud.arm.fault = () => ({ status: 403, body: { error: { code: 'AuthorizationFailed', message: 'no' } } });
  const { token: _gone, ...documents } = azureDocuments(
    { nics: [...VM.nics, { mac: '000d3af806ee', addresses: [{ private: '10.0.2.4' }] }] },
    'nobody',
  );
  cloud.imds.documents = documents;
  const plugged = await discover(15_000);
  assert.deepEqual(addresses(plugged).slice(0, 3), addresses(first));
  assert.equal(addresses(plugged)[3]?.publicUnknown, true);
  assert.match(plugged.notes![0]!, /in front of 10\.0\.2\.4 /);
  assert.equal(
    context.log.lines.at(-1)?.message,
    'the Resource Manager could not be asked; what it said before stays in use',
  );

  cloud.arm.fault = () => undefined;
  cloud.imds.documents = azureDocuments(VM, 'nobody');
  assert.deepEqual(await discover(15_000), first);
  assert.equal(context.log.lines.at(-1)?.message, 'the Resource Manager answers again');
  assert.equal(clock.pending, 0);
});

test('the start waits for ten seconds and no longer', async () => {
  await using cloud = await startFakeCloud(VM);
  const asked = Promise.withResolvers<void>();
  cloud.arm.fault = () => {
    asked.resolve();
    return 'hang';
  };
  const clock = new ManualClock();
  const discovery = azure.discover(cloud.context({ clock }), never());
  await asked.promise;
  clock.advance(10_000);
  const topology = await discovery;
  assert.ok(addresses(topology).every(({ publicUnknown }) => publicUnknown));
  assert.match(topology.notes![0]!, /no answer within 10000 ms.*AZURE_RESOURCE_MANAGER_ENDPOINT/);
  assert.equal(clock.pending, 0);
});

test('a Resource Manager that throttles is asked again when it says', async () => {
  await using cloud = await startFakeCloud(VM);
  cloud.arm.fault = (_request, count) =>
    count === 1 ? { status: 429, headers: { 'Retry-After': '0' } } : undefined;
  assert.equal(addresses(await azure.discover(cloud.context(), never()))[0]?.publicAddress, '203.0.113.5');
});

test('garbage from the Resource Manager is as good as nothing', async () => {
  await using cloud = await startFakeCloud(VM);
  for (const body of [
    '<html>',
    '{"value":[{"id":7,"properties":{"macAddress":{},"ipConfigurations":"no"}}]}',
    '[]',
  ]) {
    cloud.arm.fault = () => ({ status: 200, body });
    const topology = await azure.discover(cloud.context(), never());
    assert.ok(
      addresses(topology).every(({ publicUnknown }) => publicUnknown),
      body,
    );
    assert.ok(topology.notes![0]!.length < 1200, topology.notes![0]);
  }
});

for (const [environment, endpoint, authority] of [
  [undefined, 'https://management.azure.com', 'https://login.microsoftonline.com'],
  ['AZUREPUBLICCLOUD', 'https://management.azure.com', 'https://login.microsoftonline.com'],
  ['AzureUSGovernmentCloud', 'https://management.usgovcloudapi.net', 'https://login.microsoftonline.us'],
  ['azureusgovernment', 'https://management.usgovcloudapi.net', 'https://login.microsoftonline.us'],
  ['AzureChinaCloud', 'https://management.chinacloudapi.cn', 'https://login.chinacloudapi.cn'],
  ['AzureGermanCloud', 'https://management.microsoftazure.de', 'https://login.microsoftonline.de'],
] as const) {
  test(`the Resource Manager of ${environment ?? 'a machine that does not say where it is'}`, () => {
    assert.deepEqual(armCloud(environment, {}), { endpoint, audience: endpoint, authority });
  });
}

test('the environment moves the Resource Manager; tokens stay for the cloud that the machine is in', () => {
  const env = { AZURE_RESOURCE_MANAGER_ENDPOINT: 'https://arm.internal/' };
  assert.deepEqual(armCloud('AzurePublicCloud', env), {
    endpoint: 'https://arm.internal',
    audience: 'https://management.azure.com',
    authority: 'https://login.microsoftonline.com',
  });
  assert.equal(armCloud('AzureStack', env).audience, 'https://arm.internal');
  const named = {
    ...env,
    AZURE_RESOURCE_MANAGER_AUDIENCE: 'https://management.stack.test/x',
    AZURE_AUTHORITY_HOST: 'https://adfs.test',
  };
  assert.deepEqual(armCloud('AzureStack', named), {
    endpoint: 'https://arm.internal',
    audience: 'https://management.stack.test/x',
    authority: 'https://adfs.test',
  });
  assert.throws(() => armCloud('AzureStack', {}), { code: 'discovery.endpoint' });
  for (const endpoint of [
    'http://management.azure.com',
    'management.azure.com',
    'https://a:b@c',
    'https://c?x',
  ]) {
    assert.throws(() => armCloud('AzurePublicCloud', { AZURE_RESOURCE_MANAGER_ENDPOINT: endpoint }), {
      code: 'discovery.endpoint',
    });
  }
});
