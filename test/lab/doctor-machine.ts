import assert from 'node:assert/strict';
import type { Finding, Verdict } from '../../src/discovery/finding.ts';
import { type CommandOptions, runCloudsip } from '../support/cloudsip.ts';
import type { LabHost } from './lab-host.ts';

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

/**
 * A machine that nobody gave credentials is well, and so says its doctor: what its API would tell is not checked, by
 * the one right that was tried, `action`.
 */
export async function judgeWithoutCredentials(
  host: LabHost,
  firmware: Readonly<Record<string, string>>,
  action: string | undefined,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const diagnosis = await diagnose(host, [], { firmware, env });
  assert.deepEqual(diagnosis.bad, []);
  assert.equal(diagnosis.exitCode, 0);
  const { subject, verdict, evidence, remedy } = findingOf(diagnosis, 'rights');
  assert.deepEqual([subject ?? undefined, verdict], [action, 'skip']);
  assert.match(evidence, / not asked whether .* lets? packets through to each listener and the RTP ports/);
  assert.match(remedy ?? '', /^To have that checked:/);
}

/** Faults of the machine itself, which are the same in every cloud: found with credentials and without. */
export async function judgeMachineFaults(
  host: LabHost,
  firmware: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const options = { firmware, env };
  const wrong = await diagnose(host, ['--listen', 'udp:10.0.0.15:5060 as 203.0.113.50:5060'], options);
  assert.deepEqual(wrong.bad, ['advertised udp:10.0.0.15:5060']);
  assert.equal(wrong.exitCode, 1);
  await host.run('ip', ['rule', 'del', 'from', '10.0.1.15', 'table', '106']);
  const astray = await diagnose(host, [], options);
  await host.run('ip', ['rule', 'add', 'from', '10.0.1.15', 'table', '106']);
  assert.deepEqual(astray.bad, ['source-routing 10.0.1.15']);
  assert.equal(astray.exitCode, 1);
}

export function verdicts({ findings }: Diagnosis, check: string): Verdict[] {
  return findings.filter((each) => each.check === check).map(({ verdict }) => verdict);
}

function named({ check, subject }: Finding): string {
  return subject ? `${check} ${subject}` : check;
}
