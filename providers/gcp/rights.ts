import type { Finding } from '../../src/discovery/finding.ts';
import type { Refusal } from './api-answer.ts';
import type { InstanceIdentity } from './identity.ts';

/** All that cloudsip ever asks the Compute API for: the addresses, and for diagnosis the firewall. */
export const PERMISSIONS: readonly string[] = [
  'compute.instances.get',
  'compute.instances.getEffectiveFirewalls',
  'compute.networks.get',
];

export interface Remedy {
  readonly sentence: string;
  readonly commands: readonly string[];
}

/** What to do about a refusal, with the commands to paste. */
export function remedyOf(refusal: Refusal, identity: Omit<InstanceIdentity, 'scopes'>): Remedy {
  const { project = 'PROJECT', zone = 'ZONE', instance, serviceAccount = 'ACCOUNT' } = identity;
  const where = `${instance} --project=${project} --zone=${zone}`;
  const rescoped = (account: string): string[] => [
    `gcloud compute instances stop ${where}`,
    `gcloud compute instances set-service-account ${where} --service-account=${account} --scopes=cloud-platform`,
    `gcloud compute instances start ${where}`,
  ];
  if (refusal.reason === 'scope') {
    return {
      sentence:
        'The default access scopes of a VM hold none for Compute, whatever IAM allows. They change on a stopped machine only:',
      commands: rescoped(serviceAccount),
    };
  }
  if (refusal.reason === 'permission') {
    const { permission } = refusal;
    const needed = PERMISSIONS.includes(permission) ? PERMISSIONS : [...PERMISSIONS, permission];
    return {
      sentence: "Give the machine's account the least role:",
      commands: [
        `gcloud iam roles create cloudsip --project=${project} --permissions=${needed.join(',')}`,
        `gcloud projects add-iam-policy-binding ${project} --member=serviceAccount:${serviceAccount} --role=projects/${project}/roles/cloudsip`,
      ],
    };
  }
  if (refusal.reason === 'credentials') {
    return {
      sentence:
        'Name a key file in GOOGLE_APPLICATION_CREDENTIALS, or attach a service account to the machine, which is possible while it is stopped only:',
      commands: rescoped('ACCOUNT'),
    };
  }
  return {
    sentence:
      'Check that this machine reaches the API (Private Google Access or an external address), and the endpoint in CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE, if any.',
    commands: [],
  };
}

/** On one line, for an error or a note. */
export function remedySentence(refusal: Refusal, identity: Omit<InstanceIdentity, 'scopes'>): string {
  const { sentence, commands } = remedyOf(refusal, identity);
  return [sentence, ...commands.map((command) => `"${command}"`)].join(' ');
}

/** Lines to paste stand by themselves. */
export function pasted({ sentence, commands }: Remedy): string {
  return [sentence, ...commands.map((command) => `  ${command}`)].join('\n');
}

/** `subject` is the permission. */
export function rightFinding(refusal: Refusal, identity: Omit<InstanceIdentity, 'scopes'>): Finding {
  const { permission: subject, message } = refusal;
  const remedy = pasted(remedyOf(refusal, identity));
  if (!neverGiven(refusal, identity)) {
    // The agent itself runs without the API wherever the metadata server answers.
    return { check: 'rights', subject, verdict: 'warn', evidence: `${message}.`, remedy };
  }
  return {
    check: 'rights',
    subject,
    verdict: 'skip',
    evidence: `Nobody gave this machine access to the Compute API, so it was not asked whether the firewall lets packets through to each listener and the RTP ports, and whether it tells the same addresses as the metadata server (${message}).`,
    remedy: `To have that checked:\n${remedy}`,
  };
}

/**
 * A machine without a service account, or with the access scopes that every one has by default, is well: the API was
 * never meant for it. Who has a token for it and lacks a right is another matter.
 */
function neverGiven(
  { reason, anonymous }: Refusal,
  { serviceAccount }: Omit<InstanceIdentity, 'scopes'>,
): boolean {
  return reason === 'scope' || (anonymous === true && serviceAccount === undefined);
}
