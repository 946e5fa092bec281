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

export function verdicts({ findings }: Diagnosis, check: string): Verdict[] {
  return findings.filter((each) => each.check === check).map(({ verdict }) => verdict);
}

function named({ check, subject }: Finding): string {
  return subject ? `${check} ${subject}` : check;
}
