import type { Finding } from '../discovery/finding.ts';
import type { Patient } from './patient.ts';

const check = 'clock';
const warnAboveMs = 5_000;
/** Beyond it, clouds refuse signed API requests, and certificates begin to fail. */
const failAboveMs = 300_000;

/** The machine's clock against the Date of the metadata service's answers, which is told in whole seconds. */
export function checkClock({ exchanges }: Patient): Finding[] {
  const differences = exchanges.flatMap(({ date, receivedAt }) =>
    date === undefined || receivedAt === undefined ? [] : [receivedAt - (date + 500)],
  );
  // The nearest: a slow answer looks like a clock that is ahead.
  const [skew] = differences.sort((a, b) => Math.abs(a) - Math.abs(b));
  if (skew === undefined) {
    return [{ check, verdict: 'skip', evidence: 'No metadata service told the time.' }];
  }
  const seconds = Math.abs(skew / 1000);
  if (Math.abs(skew) <= warnAboveMs) {
    const evidence = `The clock agrees with the metadata service to ${seconds < 1 ? 'a second' : `${Math.ceil(seconds)} seconds`}.`;
    return [{ check, verdict: 'pass', evidence }];
  }
  return [
    {
      check,
      verdict: Math.abs(skew) > failAboveMs ? 'fail' : 'warn',
      evidence: `The clock is ${Math.round(seconds)} seconds ${skew > 0 ? 'ahead of' : 'behind'} the metadata service's: certificates and signed API requests are judged by it, and a jump back makes every client log in anew.`,
      remedy: 'Let the clock be kept:\n  timedatectl set-ntp true',
    },
  ];
}
