import type { Writable } from 'node:stream';
import type { Finding, Verdict } from '../discovery/finding.ts';
import { type DoctorOptions, examineMachine } from '../doctor/doctor.ts';
import { askCloud, type CloudQuestion, listenersFor, questionContext } from './cloud-question.ts';
import type { Configuration } from './configuration.ts';
import { DoctorText } from './doctor-text.ts';

export interface DoctorInvocation {
  readonly configuration: Configuration;
  readonly arguments: readonly string[];
  readonly warnings: readonly string[];
}

export interface DoctorIo extends Omit<CloudQuestion, 'configuration'> {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** What tests replace. */
  readonly doctor?: Partial<DoctorOptions>;
}

/** `cloudsip doctor`. Returns the exit code: 1 where a check fails, else 0. */
export async function runDoctorCommand(invocation: DoctorInvocation, io: DoctorIo): Promise<number> {
  const { configuration, warnings } = invocation;
  const question: CloudQuestion = { ...io, configuration };
  const context = questionContext(question);
  const findings = examineMachine({
    configuration,
    context,
    providers: io.providers,
    discover: () => askCloud(question, context),
    planListeners: (topology) => listenersFor(topology, configuration, context),
    ...io.doctor,
  });
  const counts: Record<Verdict, number> = { pass: 0, warn: 0, fail: 0, skip: 0 };
  const told: Finding[] = [];
  const text = invocation.arguments.includes('--json') ? undefined : new DoctorText(io.stdout, io.env);
  for (const warning of warnings) io.stderr.write(`cloudsip: ${warning}\n`);
  for await (const finding of findings) {
    counts[finding.verdict]++;
    told.push(finding);
    text?.finding(finding);
  }
  if (text) text.summary(counts);
  else io.stdout.write(`${JSON.stringify(doctorJson(told, counts), null, 2)}\n`);
  return counts.fail > 0 ? 1 : 0;
}

/** The shape that docs/doctor.md promises: every key is there, and `null` is none. */
export function doctorJson(findings: readonly Finding[], counts: Readonly<Record<Verdict, number>>): object {
  const verdict: Verdict = counts.fail > 0 ? 'fail' : counts.warn > 0 ? 'warn' : 'pass';
  return {
    verdict,
    counts,
    findings: findings.map((finding) => ({
      check: finding.check,
      subject: finding.subject ?? null,
      verdict: finding.verdict,
      evidence: finding.evidence,
      remedy: finding.remedy ?? null,
    })),
  };
}
