import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { openImds } from '../../../providers/ec2/imds.ts';
import { placeFromMachine, placeFromMetadata } from '../../../providers/ec2/machine-place.ts';
import { ec2Context } from '../../support/ec2-surroundings.ts';
import { startFakeImds } from '../../support/fake-imds.ts';
import type { ImdsTree } from '../../support/fake-imds-document.ts';

const identity = (
  JSON.parse(
    readFileSync(new URL('../../fixtures/metadata/ec2/instance-identity.json', import.meta.url), 'utf8'),
  ) as { 'instance-identity': { document: string } }
)['instance-identity'].document;

interface Machine {
  readonly files?: Readonly<Record<string, string>>;
  readonly dmi?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

function placeOf({ files = {}, dmi, env }: Machine): object {
  const root = mkdtempSync(join(tmpdir(), 'cloudsip-place-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return placeFromMachine(ec2Context({ ...(dmi && { dmi }), ...(env && { env }) }), root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const cloudInit = (v1: object): Record<string, string> => ({
  'run/cloud-init/instance-data.json': JSON.stringify({ v1 }),
});
const INSTANCE = { cloud_name: 'aws', region: 'eu-north-1', instance_id: 'i-0aaaaaaaaaaaaaaaa' };

const MACHINES: [what: string, machine: Machine, place: object][] = [
  ['nothing', {}, {}],
  [
    'firmware and environment',
    { dmi: { board_asset_tag: 'i-0123456789abcdef0' }, env: { AWS_REGION: 'us-gov-west-1' } },
    { instanceId: 'i-0123456789abcdef0', region: 'us-gov-west-1' },
  ],
  ['the older variable', { env: { AWS_DEFAULT_REGION: 'ap-southeast-2' } }, { region: 'ap-southeast-2' }],
  ['cloud-init', { files: cloudInit(INSTANCE) }, { instanceId: 'i-0aaaaaaaaaaaaaaaa', region: 'eu-north-1' }],
  [
    'the environment before cloud-init',
    { files: cloudInit(INSTANCE), env: { AWS_REGION: 'us-east-2' } },
    { instanceId: 'i-0aaaaaaaaaaaaaaaa', region: 'us-east-2' },
  ],
  ['cloud-init of another cloud', { files: cloudInit({ ...INSTANCE, cloud_name: 'gce' }) }, {}],
  ['cloud-init that is no JSON', { files: { 'run/cloud-init/instance-data.json': '{"v1":' } }, {}],
  [
    'cloud-init with strange values',
    { files: cloudInit({ ...INSTANCE, region: 7, instance_id: '../x' }) },
    {},
  ],
  [
    'the search list of the resolver',
    { files: { 'etc/resolv.conf': 'nameserver 10.0.0.2\nsearch corp.example eu-west-1.compute.internal\n' } },
    { region: 'eu-west-1' },
  ],
  [
    'that of the oldest region',
    { files: { 'etc/resolv.conf': 'search ec2.internal\n' } },
    { region: 'us-east-1' },
  ],
  ['an asset tag of another maker', { dmi: { board_asset_tag: 'Not Specified' } }, {}],
  ['a region that is none', { env: { AWS_REGION: 'http://evil.example/' } }, {}],
];
for (const [what, machine, place] of MACHINES) {
  test(`without metadata: ${what}`, () => assert.deepEqual(placeOf(machine), place));
}

async function placeIn(document: ImdsTree, dynamic: ImdsTree = {}): Promise<object> {
  await using imds = await startFakeImds({ document });
  imds.dynamic = dynamic;
  const context = ec2Context({ imds });
  const session = await openImds(context, new AbortController().signal);
  try {
    return await placeFromMetadata(session, context.env);
  } finally {
    session.close();
  }
}

test('metadata tells region and zone', async () => {
  const placement = { region: 'us-east-1', 'availability-zone': 'us-east-1-wl1-bos-wlz-1' };
  assert.deepEqual(await placeIn({ 'instance-id': 'i-0123456789abcdef0', placement }), {
    instanceId: 'i-0123456789abcdef0',
    region: 'us-east-1',
    zone: 'us-east-1-wl1-bos-wlz-1',
  });
});

test('an older service tells the region by the zone, or by the identity document', async () => {
  const zone = { placement: { 'availability-zone': 'eu-central-1b' } };
  assert.deepEqual(await placeIn(zone), { region: 'eu-central-1', zone: 'eu-central-1b' });
  assert.deepEqual(await placeIn({}, { 'instance-identity': { document: identity } }), {
    region: 'us-west-2',
  });
  assert.deepEqual(await placeIn({}, { 'instance-identity': { document: '{"region":' } }), {});
});
