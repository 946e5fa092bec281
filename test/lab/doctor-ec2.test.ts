import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ec2Firmware } from '../support/cloudsip.ts';
import type { FakeEc2Document } from '../support/fake-ec2-api.ts';
import { imdsDocument } from '../support/fake-imds-document.ts';
import { needsRoot } from '../support/privileged.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';
import { type Diagnosis, diagnose, judgeWithoutCredentials } from './doctor-machine.ts';
import { apiEnvironment, ec2Truth, startEc2Api } from './ec2-cloud.ts';
import type { Lab } from './lab.ts';
import { describeMachine, type LabMetadata } from './lab-metadata.ts';

const placement = { region: 'eu-central-1', 'availability-zone': 'eu-central-1a' };
const ports = { sip: 5060, rtp: 10_000 };

describe('cloudsip doctor and the account of a machine of EC2', needsRoot, () => {
  let lab: Lab;
  let api: LabMetadata<FakeEc2Document>;
  before(async () => {
    lab = await buildLab(cloud);
    mkdirSync(join(lab.host('vm').directory, 'cloudsip-state'), { mode: 0o700 });
    await lab.startMetadata({ ...imdsDocument(describeMachine(lab, 'vm')), placement });
    api = await startEc2Api(lab);
  });
  after(() => lab.close());

  /** With this account in place of the true one. */
  const diagnoseWith = (change: (truth: FakeEc2Document) => FakeEc2Document): Promise<Diagnosis> => {
    api.replace(change(ec2Truth(lab)));
    return diagnose(lab.host('vm'), [], { env: apiEnvironment });
  };
  const without =
    (port: number) =>
    (truth: FakeEc2Document): FakeEc2Document => ({
      ...truth,
      rules: truth.rules.filter(({ egress, from }) => egress || from !== port),
    });

  test('finds nothing where nothing is wrong, and has looked at the groups of each listener and of RTP', async () => {
    const diagnosis = await diagnoseWith((truth) => truth);
    assert.deepEqual(diagnosis.bad, []);
    assert.equal(diagnosis.exitCode, 0);
    const groups = diagnosis.findings.filter(({ check }) => check === 'security-group');
    assert.deepEqual(
      groups.map(({ subject, verdict }) => `${verdict} ${subject?.replace(/eni-\w+/, 'ENI')}`),
      [
        'pass udp:10.0.0.15:5060',
        'pass udp:10.0.0.16:5060',
        'pass udp:10.0.1.15:5060',
        'pass rtp ENI IPv4',
        'pass rtp ENI IPv4',
      ],
    );
    assert.ok(diagnosis.findings.some(({ check, verdict }) => check === 'rights' && verdict === 'pass'));
  });

  test('finds nothing where nothing is wrong and nobody gave the machine credentials', async () => {
    await judgeWithoutCredentials(lab.host('vm'), ec2Firmware, 'ec2:DescribeNetworkInterfaces');
  });

  test('finds that the group does not let SIP in', async () => {
    const diagnosis = await diagnoseWith(without(ports.sip));
    assert.deepEqual(diagnosis.bad, [
      'security-group udp:10.0.0.15:5060',
      'security-group udp:10.0.0.16:5060',
      'security-group udp:10.0.1.15:5060',
    ]);
    assert.equal(diagnosis.exitCode, 1);
    const { evidence, remedy = '' } = diagnosis.findings.find(({ verdict }) => verdict === 'fail')!;
    assert.match(evidence, /udp 5060/);
    assert.match(remedy, /aws ec2 authorize-security-group-ingress .*5060/);
  });

  test('finds that the group does not let RTP in', async () => {
    const diagnosis = await diagnoseWith(without(ports.rtp));
    assert.equal(diagnosis.bad.length, 2);
    for (const name of diagnosis.bad) assert.match(name, /^security-group rtp eni-/);
    assert.equal(diagnosis.exitCode, 1);
    const { remedy = '' } = diagnosis.findings.find(({ verdict }) => verdict === 'fail')!;
    assert.match(remedy, /authorize-security-group-ingress .*FromPort=10000,ToPort=20000/);
  });

  for (const [action, examined] of [
    ['DescribeSecurityGroupRules', 'security-group'],
    ['DescribeNetworkInterfaces', undefined],
  ] as const) {
    test(`finds that the right to ${action} is missing, and has the policy that gives it`, async () => {
      const diagnosis = await diagnoseWith((truth) => ({ ...truth, forbidden: [action] }));
      assert.deepEqual(diagnosis.bad, [`rights ec2:${action}`]);
      assert.equal(diagnosis.exitCode, 1);
      const { remedy = '' } = diagnosis.findings.find(({ verdict }) => verdict === 'fail')!;
      assert.match(remedy, new RegExp(`"ec2:${action}"`));
      if (examined === undefined) return;
      const skipped = diagnosis.findings.filter(
        ({ check, verdict }) => check === examined && verdict === 'skip',
      );
      assert.ok(skipped.length > 0, 'what could not be examined is told');
    });
  }
});
