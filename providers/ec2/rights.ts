import type { Finding } from '../../src/discovery/finding.ts';
import type { CallResult, Ec2Answer, Refusal } from './api-answer.ts';
import { remedyOf } from './ask-ec2.ts';

/** Every action that an examination uses: the policy to paste holds them all, so that it is pasted once. */
export const examinedActions: readonly string[] = [
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSecurityGroupRules',
  'ec2:DescribeNetworkAcls',
  'ec2:DescribeRouteTables',
];

/** One finding for each action that was tried. */
export function rightsFindings({ interfaces, rules, acls, routeTables }: Ec2Answer): Finding[] {
  const results: (CallResult<unknown> | undefined)[] = [interfaces, rules, acls, routeTables];
  return results.flatMap((result, index): Finding[] => {
    const action = examinedActions[index]!;
    if (!result) return [];
    if ('refusal' in result) return [refusalFinding(result.refusal)];
    return [{ check: 'rights', subject: action, verdict: 'pass', evidence: `${action} was answered.` }];
  });
}

function refusalFinding({ action, code, message, anonymous }: Refusal): Finding {
  const right = code === 'discovery.api-forbidden' || code === 'discovery.api-credentials';
  return {
    check: right ? 'rights' : 'api',
    subject: action,
    verdict: code === 'discovery.api-forbidden' ? 'fail' : anonymous ? 'skip' : 'warn',
    evidence: `${message}.`,
    remedy: remedyOf(code, examinedActions),
  };
}
