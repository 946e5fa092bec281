import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { imdsDocument } from '../support/fake-imds-document.ts';
import { needsRoot } from '../support/privileged.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { diagnose, findingOf } from './doctor-machine.ts';
import { apiEnvironment, bareEc2Cloud, ec2Truth, silentEc2Cloud, startEc2Api } from './ec2-cloud.ts';
import { everyAddressServes } from './every-address.ts';
import { describeMachine, ec2Cloud } from './lab-metadata.ts';
import { call, hangUp, Office } from './office.ts';

everyAddressServes(
  'every address of a machine of EC2 serves by itself, told by the API beside its metadata',
  {
    cloud: bareEc2Cloud,
    prepare: startEc2Api,
    env: apiEnvironment,
  },
);

everyAddressServes('every address of a machine of EC2 serves by itself, its metadata switched off', {
  cloud: silentEc2Cloud,
  prepare: startEc2Api,
  env: apiEnvironment,
});

describe('a machine of EC2 whose addresses the API tells', needsRoot, () => {
  test('follows an address that moves there, and keeps the known ones while the API is silent', async () => {
    let api: Awaited<ReturnType<typeof startEc2Api>> | undefined;
    await using office = await Office.open({
      cloud: silentEc2Cloud,
      prepare: async (lab) => {
        api = await startEc2Api(lab);
      },
      env: apiEnvironment,
      args: ['--poll-interval', '1s'],
    });
    const { lab, cloudsip } = office;
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });

    await lab.setPublicAddress('10.0.0.16', '203.0.113.60');
    api!.replace(ec2Truth(lab));
    const record = await cloudsip.logged('the cloud changed: listeners follow');
    assert.deepEqual(record['changes'], [
      { kind: 'remapped', privateAddress: '10.0.0.16', before: '203.0.113.6', after: '203.0.113.60' },
    ]);

    await api!.stop();
    await cloudsip.logged('discovery fails; the last known topology stays in use');
    await call(alice, bob);
    await hangUp(bob, alice);
    assert.equal(cloudsip.log.filter(({ msg }) => msg === 'the cloud changed: listeners follow').length, 1);
  });
});

describe('the doctor on a machine of EC2', needsRoot, () => {
  test('finds a subnet without a way to the internet, and an address that the API tells differently', async () => {
    await using lab = await buildLab(cloud);
    const vm = lab.host('vm');
    mkdirSync(join(vm.directory, 'cloudsip-state'), { mode: 0o700 });
    const metadata = await lab.startMetadataOf(ec2Cloud);
    const truth = ec2Truth(lab);
    const api = await startEc2Api(lab);
    const look = (): ReturnType<typeof diagnose> => diagnose(vm, [], { env: apiEnvironment });

    const healthy = await look();
    assert.deepEqual(healthy.bad, []);
    assert.equal(findingOf(healthy, 'api-addresses', '10.0.1.15').verdict, 'pass');
    assert.equal(findingOf(healthy, 'public-route', 'subnet-1 0.0.0.0/0').verdict, 'pass');

    api.replace({ ...truth, routeTables: truth.routeTables.map((table) => ({ ...table, routes: [] })) });
    assert.deepEqual((await look()).bad, [
      'public-route subnet-0 0.0.0.0/0',
      'public-route subnet-1 0.0.0.0/0',
    ]);

    api.replace(truth);
    const { nics } = describeMachine(lab, 'vm');
    const stale = nics.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((address) =>
        address.private === '10.0.0.16' ? { private: address.private, public: '203.0.113.66' } : address,
      ),
    }));
    metadata.replace(imdsDocument({ nics: stale }));
    const differing = await look();
    assert.ok(differing.bad.includes('api-addresses 10.0.0.16'), JSON.stringify(differing.bad));
    assert.match(
      findingOf(differing, 'api-addresses', '10.0.0.16').evidence,
      /Metadata says 203\.0\.113\.66, the EC2 API says 203\.0\.113\.6 /,
    );
  });
});
