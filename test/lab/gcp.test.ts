import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ComputeProject } from '../support/fake-compute-project.ts';
import { defaultScopes, type GceDescription } from '../support/fake-gce-document.ts';
import { needsRoot } from '../support/privileged.ts';
import { requestText } from '../support/sip-text.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { diagnose, findingOf, judgeMachineFaults, judgeWithoutCredentials } from './doctor-machine.ts';
import { everyAddressServes } from './every-address.ts';
import {
  accountOf,
  computeEnvironment as env,
  FORWARDED,
  forward,
  gcpCloud,
  silentGcpCloud,
  startCompute,
} from './gcp-cloud.ts';
import type { Lab } from './lab.ts';
import type { LabHost } from './lab-host.ts';
import type { LabMetadata } from './lab-metadata.ts';
import { call, hangUp, Office, publicAddress, talk } from './office.ts';

everyAddressServes(
  'every address of a machine of Compute Engine serves by itself, told by metadata alone',
  { cloud: gcpCloud, prepare: forward },
  FORWARDED,
);

everyAddressServes(
  'every address of a machine of Compute Engine serves by itself, the external ones told by the API',
  {
    cloud: silentGcpCloud,
    env,
    prepare: async (lab) => {
      await forward(lab);
      await startCompute(lab);
    },
  },
  FORWARDED,
);

describe('a machine of Compute Engine while it runs', needsRoot, () => {
  test('an external address that moves is followed at once, and a preemption ends in peace', async () => {
    await using office = await Office.open({ cloud: gcpCloud, prepare: forward });
    const { lab, cloudsip, metadata } = office;
    const listening = cloudsip.log.filter(({ msg }) => msg === 'listening');
    assert.deepEqual(
      listening
        .filter(({ transport }) => transport === 'udp')
        .map(({ bound, advertised }) => [bound, advertised]),
      [
        ['10.0.0.15:5060', '203.0.113.5:5060'],
        ['10.0.0.16:5060', '-'],
        ['203.0.113.6:5060', '-'],
        ['10.0.1.15:5060', '203.0.113.7:5060'],
      ],
    );
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });
    await call(alice, bob);

    await lab.setPublicAddress('10.0.1.15', '203.0.113.70');
    const moved = gcpCloud.describe(lab, 'vm');
    metadata.replace(moved);
    // Long before the 15 seconds after which it would be asked.
    const record = await cloudsip.logged('the cloud changed: listeners follow', { timeoutMs: 8_000 });
    assert.deepEqual(record['changes'], [
      { kind: 'remapped', privateAddress: '10.0.1.15', before: '203.0.113.7', after: '203.0.113.70' },
    ]);

    metadata.replace({ ...moved, preempted: 'TRUE' });
    await cloudsip.logged('draining: new requests are refused, calls in progress are served');
    assert.match(await ask(lab.host('alice-host')), /^SIP\/2\.0 503 .*\r\nRetry-After: \d+\r\n/s);
    await talk(alice, bob);
    await hangUp(bob, alice);
    assert.deepEqual(await cloudsip.program.exited, { exitCode: 0, signal: null });
  });

  test('the doctor reads its firewall, and finds what is planted there', async () => {
    await using lab = await buildLab(cloud);
    const vm = lab.host('vm');
    mkdirSync(join(vm.directory, 'cloudsip-state'), { mode: 0o700 });
    await forward(lab);
    await lab.startMetadataOf(silentGcpCloud);
    const allow = (name: string, ...ports: string[]) => ({
      name,
      direction: 'INGRESS',
      priority: 1000,
      sourceRanges: ['0.0.0.0/0'],
      allowed: [{ IPProtocol: 'udp', ports }],
    });
    const truth = (...firewalls: object[]): ComputeProject =>
      accountOf(lab, { nic0: { firewalls }, nic1: { firewalls } });
    const sip = allow('sip', '5060');
    const rtp = allow('rtp', '10000-20000');
    const compute = await startCompute(lab, truth(sip, rtp));
    const options = { env, firmware: gcpCloud.firmware };

    const healthy = await diagnose(vm, [], options);
    assert.deepEqual(healthy.bad, []);
    assert.equal(findingOf(healthy, 'firewall', `udp ${FORWARDED}:5060`).verdict, 'pass');
    assert.equal(findingOf(healthy, 'addresses', '10.0.1.15').verdict, 'pass');

    const addresses = ['10.0.0.15', '10.0.0.16', FORWARDED, '10.0.1.15'];
    const denied = { ...sip, name: 'closed', priority: 900, allowed: [], denied: sip.allowed };
    compute.replace(truth(sip, rtp, denied));
    const closed = await diagnose(vm, [], options);
    assert.deepEqual(
      closed.bad,
      addresses.map((address) => `firewall udp ${address}:5060`),
    );
    assert.equal(closed.exitCode, 1);
    const { evidence, remedy } = findingOf(closed, 'firewall', 'udp 10.0.0.15:5060');
    assert.match(evidence, /udp 5060 from 0\.0\.0\.0\/0 at nic0 is dropped by rule closed \(priority 900\)/);
    assert.match(remedy ?? '', /firewall-rules create .*--priority=899/);

    compute.replace(truth(sip));
    const silent = await diagnose(vm, [], options);
    assert.deepEqual(
      silent.bad,
      addresses.map((address) => `firewall rtp ${address}:10000-20000`),
    );

    compute.replace({ ...truth(sip, rtp), denied: ['compute.instances.getEffectiveFirewalls'] });
    const refused = await diagnose(vm, [], options);
    assert.deepEqual(refused.bad, ['rights compute.instances.getEffectiveFirewalls']);
  });
});

describe('the doctor on a machine of Compute Engine', needsRoot, () => {
  let lab: Lab;
  let metadata: LabMetadata<GceDescription>;
  before(async () => {
    lab = await buildLab(cloud);
    mkdirSync(join(lab.host('vm').directory, 'cloudsip-state'), { mode: 0o700 });
    await forward(lab);
    metadata = await lab.startMetadataOf(gcpCloud);
    await startCompute(lab);
  });
  after(() => lab.close());

  for (const [what, scopes] of [
    ['it has the access scopes of every machine', defaultScopes],
    ['it has no service account', null],
  ] as const) {
    test(`finds nothing where nothing is wrong and ${what}`, async () => {
      metadata.replace({ ...gcpCloud.describe(lab, 'vm'), scopes });
      await judgeWithoutCredentials(lab.host('vm'), gcpCloud.firmware, 'compute.instances.get', env);
    });
  }

  test('finds a wrong advertised address, and answers of the second card that leave by the first', async () => {
    await judgeMachineFaults(lab.host('vm'), gcpCloud.firmware, env);
  });
});

/** What an INVITE from there is answered. */
async function ask(host: LabHost): Promise<string> {
  const socket = await host.openUdp();
  try {
    const via = `${socket.address}:${socket.port}`;
    await socket.send(requestText({ uri: `sip:bob@${publicAddress}`, via }), 5060, publicAddress);
    const { bytes } = await socket.receive();
    return bytes.toString();
  } finally {
    await socket.close();
  }
}
