import type { Finding } from '../discovery/finding.ts';
import type { Patient } from './patient.ts';

/** Whether everything that was written, by a person or into the instance's tags, has an effect. */
export function checkConfiguration({ warnings, topology }: Patient): Finding[] {
  const check = 'configuration';
  if (warnings.length > 0) {
    return warnings.map((warning) => ({
      check,
      verdict: 'warn',
      evidence: `${warning[0]!.toUpperCase()}${warning.slice(1)}`,
      remedy: 'Correct it where it was written, or take it away.',
    }));
  }
  const names = Object.keys(topology?.options ?? {});
  const tags = names.length === 0 ? '' : ` Tags of the instance name ${names.join(', ')}.`;
  return [{ check, verdict: 'pass', evidence: `All that is written can be understood.${tags}` }];
}
