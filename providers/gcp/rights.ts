import type { Refusal } from './api-answer.ts';
import type { InstanceIdentity } from './identity.ts';

/** All that cloudsip ever asks the Compute API for: the addresses, and for diagnosis the firewall. */
export const PERMISSIONS: readonly string[] = [
  'compute.instances.get',
  'compute.instances.getEffectiveFirewalls',
  'compute.networks.get',
];

/** What to do about a refusal, with the commands to paste. */
export function remedyOf(refusal: Refusal, identity: Omit<InstanceIdentity, 'scopes'>): string {
  const { project = 'PROJECT', zone = 'ZONE', instance, serviceAccount = 'ACCOUNT' } = identity;
  if (refusal.reason === 'scope') {
    const where = `${instance} --project=${project} --zone=${zone}`;
    return `The default access scopes of a VM hold none for Compute, whatever IAM allows. Scopes change on a stopped machine only: "gcloud compute instances stop ${where}", "gcloud compute instances set-service-account ${where} --service-account=${serviceAccount} --scopes=cloud-platform", "gcloud compute instances start ${where}".`;
  }
  if (refusal.reason === 'permission') {
    const missing = PERMISSIONS.includes(refusal.permission)
      ? PERMISSIONS
      : [...PERMISSIONS, refusal.permission];
    return `Give the machine's account the least role: "gcloud iam roles create cloudsip --project=${project} --permissions=${missing.join(',')}", then "gcloud projects add-iam-policy-binding ${project} --member=serviceAccount:${serviceAccount} --role=projects/${project}/roles/cloudsip".`;
  }
  if (refusal.reason === 'credentials') {
    return `Attach a service account to the machine ("gcloud compute instances set-service-account ${instance} --project=${project} --zone=${zone} --service-account=ACCOUNT --scopes=cloud-platform", on the stopped machine), or name a key file in GOOGLE_APPLICATION_CREDENTIALS.`;
  }
  return 'Check that this machine reaches the API (Private Google Access or an external address), and the endpoint in CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE, if any.';
}
