import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificate } from '../support/certificate.ts';
import { type ArmDocument, effectiveGroup } from '../support/fake-arm-document.ts';
import type { AzureDocuments } from '../support/fake-azure-document.ts';
import { needsRoot } from '../support/privileged.ts';
import { requestText } from '../support/sip-text.ts';
import {
  ARM_HOST,
  armEnvironment,
  armOffice,
  armTruth,
  azureCloud,
  silentAzureCloud,
  startArm,
} from './azure-cloud.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { diagnose, findingOf, judgeMachineFaults, judgeWithoutCredentials } from './doctor-machine.ts';
import { everyAddressServes } from './every-address.ts';
import type { Lab } from './lab.ts';
import type { LabHost } from './lab-host.ts';
import { call, hangUp, Office, publicAddress, talk } from './office.ts';

everyAddressServes('every address of a machine of Azure serves by itself, told by metadata alone', {
  cloud: azureCloud,
});

everyAddressServes(
  'every address of a machine of Azure serves by itself, told by the Resource Manager',
  armOffice,
);

describe('a machine of Azure while it runs', needsRoot, () => {
  test('a public address that moves is followed, and a preemption ends in peace', async () => {
    await using office = await Office.open({
      cloud: azureCloud,
      args: ['--poll-interval', '1s', '--acknowledge-notices', 'on'],
    });
    const { lab, cloudsip, metadata } = office;
    const alice = await office.phone('alice-host', { user: 'alice', toneHz: 440 });
    const bob = await office.phone('home-phone', { user: 'bob', toneHz: 880 });
    await call(alice, bob);

    await lab.setPublicAddress('10.0.0.16', '203.0.113.60');
    const moved = azureCloud.describe(lab, 'vm');
    metadata.replace(moved);
    const record = await cloudsip.logged('the cloud changed: listeners follow');
    assert.deepEqual(record['changes'], [
      { kind: 'remapped', privateAddress: '10.0.0.16', before: '203.0.113.6', after: '203.0.113.60' },
    ]);

    const NotBefore = new Date(Date.now() + 60_000).toUTCString();
    const event = { EventId: 'going', EventStatus: 'Scheduled', EventType: 'Preempt', NotBefore };
    const Events = [{ ...event, ResourceType: 'VirtualMachine', Resources: ['another', 'edge'] }];
    const going: AzureDocuments = { ...moved, scheduledevents: { DocumentIncarnation: 2, Events } };
    metadata.replace(going);
    await cloudsip.logged('draining: new requests are refused, calls in progress are served');
    const refused = await ask(lab.host('alice-host'));
    assert.match(refused, /^SIP\/2\.0 503 .*\r\nRetry-After: \d+\r\n/s);
    await talk(alice, bob);
    assert.equal(await statusOf(lab.host('vm')), 'Scheduled', 'not acknowledged while a call is in progress');

    await hangUp(bob, alice);
    assert.deepEqual(await cloudsip.program.exited, { exitCode: 0, signal: null });
    assert.equal(await statusOf(lab.host('vm')), 'Started', 'acknowledged once the last call had ended');
  });

  test('the doctor reads its security groups, and finds what is planted there', async () => {
    await using lab = await buildLab(cloud);
    const vm = lab.host('vm');
    mkdirSync(join(vm.directory, 'cloudsip-state'), { mode: 0o700 });
    await lab.startMetadataOf(silentAzureCloud);
    const certificate = await makeCertificate(lab.directory, [ARM_HOST]);
    const truth = armTruth(lab, certificate);
    const rule = (name: string, priority: number, ports: string, more = {}): Record<string, unknown> => ({
      name: `securityRules/${name}`,
      priority,
      protocol: 'Udp',
      sourceAddressPrefix: 'Internet',
      destinationAddressPrefix: '*',
      destinationPortRange: ports,
      destinationPortRanges: [ports],
      ...more,
    });
    const groups = (rules: Record<string, unknown>[]): ArmDocument['effectiveGroups'] =>
      Object.fromEntries(truth.networkInterfaces.map(({ id }) => [id, [effectiveGroup('edge', rules)]]));
    const sip = rule('sip', 300, '5060');
    const rtp = rule('rtp', 310, '10000-20000');
    const arm = await startArm(lab, certificate, { ...truth, effectiveGroups: groups([sip, rtp]) });
    const options = { env: armEnvironment(lab.directory), firmware: azureCloud.firmware };

    const healthy = await diagnose(vm, [], options);
    assert.deepEqual(healthy.bad, []);
    assert.equal(findingOf(healthy, 'api-address', '10.0.1.15').verdict, 'pass');
    assert.equal(findingOf(healthy, 'security-group', 'udp:10.0.1.15:5060').verdict, 'pass');

    arm.replace({
      ...truth,
      effectiveGroups: groups([rtp, rule('closed', 200, '5060', { access: 'Deny' })]),
    });
    const closed = await diagnose(vm, [], options);
    assert.deepEqual(
      closed.bad,
      ['10.0.0.15', '10.0.0.16', '10.0.1.15'].map((address) => `security-group udp:${address}:5060`),
    );
    assert.equal(closed.exitCode, 1);
    const { evidence, remedy } = findingOf(closed, 'security-group', 'udp:10.0.0.15:5060');
    assert.equal(evidence, 'edge closes UDP 5060 by securityRules/closed to the internet.');
    assert.match(remedy ?? '', /^az network nsg rule create .* --priority 199 /);

    arm.replace({ ...truth, effectiveGroups: groups([sip]) });
    const silent = await diagnose(vm, [], options);
    assert.deepEqual(
      silent.bad.map((name) => name.replace(/ RTP udp:/, ' ')),
      ['10.0.0.15', '10.0.0.16', '10.0.1.15'].map((address) => `security-group ${address}:10000-20000`),
    );
    assert.equal(silent.exitCode, 1);

    const action = 'Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action';
    arm.replace({ ...truth, denied: [action] });
    const refused = await diagnose(vm, [], options);
    assert.deepEqual(refused.bad, [`rights ${action}`]);
    assert.match(findingOf(refused, 'rights', action).remedy ?? '', /az role definition create/);
  });
});

describe('the doctor on a machine of Azure that has no identity', needsRoot, () => {
  let lab: Lab;
  before(async () => {
    lab = await buildLab(cloud);
    mkdirSync(join(lab.host('vm').directory, 'cloudsip-state'), { mode: 0o700 });
    const { token: _none, ...documents } = azureCloud.describe(lab, 'vm');
    await lab.startMetadataOf(azureCloud, documents);
  });
  after(() => lab.close());

  test('finds nothing where nothing is wrong', async () => {
    await judgeWithoutCredentials(lab.host('vm'), azureCloud.firmware, undefined);
  });

  test('finds a wrong advertised address, and answers of the second card that leave by the first', async () => {
    await judgeMachineFaults(lab.host('vm'), azureCloud.firmware);
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

/** Of the only scheduled event, as the machine sees it. */
async function statusOf(vm: LabHost): Promise<unknown> {
  const script = `const answer = await fetch('http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01', { headers: { Metadata: 'true' } }); console.log(await answer.text());`;
  const { stdout } = await vm.run(process.execPath, ['--input-type=module', '-e', script]);
  return (JSON.parse(stdout) as { Events: { EventStatus: unknown }[] }).Events[0]?.EventStatus;
}
