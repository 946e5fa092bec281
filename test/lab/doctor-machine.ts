import assert from 'node:assert/strict';
import type { Finding, Verdict } from '../../src/discovery/finding.ts';
import { type CommandOptions, runCloudsip } from '../support/cloudsip.ts';
import { healthyAccount } from '../support/fake-ec2-account.ts';
import { type FakeEc2Document, fakeAccessKey } from '../support/fake-ec2-api.ts';
import type { Lab } from './lab.ts';
import type { LabHost } from './lab-host.ts';
import { describeMachine, type LabMetadata } from './lab-metadata.ts';

export interface Diagnosis {
  readonly exitCode: number | null;
  readonly findings: readonly Finding[];
  /** The findings that are bad: `CHECK SUBJECT`, in their order. */
  readonly bad: readonly string[];
}

/** Runs the doctor on a host. */
export async function diagnose(
  host: LabHost,
  args: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Diagnosis> {
  const { stdout, stderr, exitCode } = await runCloudsip(host, ['doctor', '--json', ...args], options);
  assert.equal(stderr, '');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const bad = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn');
  return { exitCode, findings, bad: bad.map(named) };
}

/** The one finding of that name and subject. */
export function findingOf({ findings }: Diagnosis, check: string, subject?: string): Finding {
  const found = findings.filter(
    (each) => each.check === check && (subject === undefined || each.subject === subject),
  );
  assert.equal(found.length, 1, `${check} ${subject ?? ''}: ${JSON.stringify(findings, null, 2)}`);
  return found[0]!;
}

export function verdicts({ findings }: Diagnosis, check: string): Verdict[] {
  return findings.filter((each) => each.check === check).map(({ verdict }) => verdict);
}

function named({ check, subject }: Finding): string {
  return subject ? `${check} ${subject}` : check;
}

/** Beside the metadata's own port at its address. */
const apiPort = 8080;

/** Where the SDK finds the API of a laboratory, and what it signs with. */
export const ec2ApiEnvironment: Readonly<Record<string, string>> = {
  AWS_ENDPOINT_URL_EC2: `http://169.254.169.254:${apiPort}`,
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: fakeAccessKey.id,
  AWS_SECRET_ACCESS_KEY: fakeAccessKey.secret,
};

/** What the account of `vm` holds where all is well. */
export function ec2Truth(lab: Lab): FakeEc2Document {
  return healthyAccount(describeMachine(lab, 'vm'));
}

export function startEc2Api(
  lab: Lab,
  document: FakeEc2Document = ec2Truth(lab),
): Promise<LabMetadata<FakeEc2Document>> {
  return lab.startService('fake-ec2-api.ts', document, apiPort);
}
