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

/** One finding for each action that was tried. `credentials`: whether somebody gave this machine any. */
export function rightsFindings(
  { interfaces, rules, acls, routeTables }: Ec2Answer,
  credentials: boolean,
): Finding[] {
  const results: (CallResult<unknown> | undefined)[] = [interfaces, rules, acls, routeTables];
  return results.flatMap((result, index): Finding[] => {
    const action = examinedActions[index]!;
    if (!result) return [];
    if ('refusal' in result) return [refusalFinding(result.refusal, credentials)];
    return [{ check: 'rights', subject: action, verdict: 'pass', evidence: `${action} was answered.` }];
  });
}

function refusalFinding({ action, code, message, anonymous }: Refusal, credentials: boolean): Finding {
  if (anonymous && !credentials) return unasked(action, message);
  const right = code === 'discovery.api-forbidden' || code === 'discovery.api-credentials';
  return {
    check: right ? 'rights' : 'api',
    subject: action,
    verdict: code === 'discovery.api-forbidden' ? 'fail' : 'warn',
    evidence: `${message}.`,
    remedy: remedyOf(code, examinedActions),
  };
}

/** A machine whom nobody gave credentials is well: most are meant so, and so is what a cloud makes by default. */
function unasked(action: string, message: string): Finding {
  return {
    check: 'rights',
    subject: action,
    verdict: 'skip',
    evidence: `This machine has no credentials, so the EC2 API was not asked whether security groups, network ACLs and routes let packets through to each listener and the RTP ports, and whether it tells the same addresses as metadata (${message}).`,
    remedy: `To have that checked: ${remedyOf('discovery.api-credentials', examinedActions)}`,
  };
}
