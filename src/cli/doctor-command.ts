import type { Writable } from 'node:stream';
import type { Finding, Verdict } from '../discovery/finding.ts';
import { type DoctorOptions, examineMachine } from '../doctor/doctor.ts';
import { askCloud, type CloudInvocation, type CloudIo, cloudContext } from './cloud-question.ts';
import { DoctorText } from './doctor-text.ts';

export interface DoctorIo extends CloudIo {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** What tests replace. */
  readonly doctor?: Partial<DoctorOptions>;
}

/** `cloudsip doctor`. Returns the exit code: 1 where a check fails, else 0. */
export async function runDoctorCommand(invocation: CloudInvocation, io: DoctorIo): Promise<number> {
  const { configuration, warnings } = invocation;
  const context = cloudContext(invocation, io);
  const findings = examineMachine({
    configuration,
    warnings,
    context,
    providers: io.providers,
    discover: async () => {
      const { planned, ...answer } = await askCloud(invocation, io, context);
      return { ...answer, ...planned, warnings: answer.warnings };
    },
    ...io.doctor,
  });
  const counts: Record<Verdict, number> = { pass: 0, warn: 0, fail: 0, skip: 0 };
  const told: Finding[] = [];
  const text = invocation.arguments.includes('--json') ? undefined : new DoctorText(io.stdout, io.env);
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
