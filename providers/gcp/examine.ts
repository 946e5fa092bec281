import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Examination, Finding } from '../../src/discovery/finding.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { ApiInstance, GcpAnswer } from './api-answer.ts';
import { askCompute } from './api-memory.ts';
import { firewallFindings } from './firewall-findings.ts';
import { type InstanceIdentity, readIdentity, shortHostname } from './identity.ts';
import { openMetadata } from './metadata.ts';
import { rightFinding } from './rights.ts';

/** Asks the API for all that it knows of this machine: rights, addresses, the firewall in force. */
export async function examine(
  context: DiscoveryContext,
  examination: Examination,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const identity = await identityOf(context, signal);
  let answer: GcpAnswer;
  try {
    answer = await askCompute(context, signal, identity, true);
  } catch (error) {
    if (!(error instanceof DiscoveryError)) throw error;
    const remedy =
      'Let this machine reach the API (Private Google Access or an external address); the firewall could not be looked at without it.';
    return [{ check: 'rights', verdict: 'warn', evidence: error.message, remedy }];
  }
  const { instance, firewalls = {} } = answer;
  if ('refusal' in instance) return [rightFinding(instance.refusal, identity)];
  const refused = Object.values(firewalls).find((result) => 'refusal' in result);
  const rights: Finding[] = [granted('compute.instances.get')];
  if (refused) rights.push(rightFinding(refused.refusal, identity));
  else rights.push(granted('compute.instances.getEffectiveFirewalls'));
  return [
    ...rights,
    ...addressFindings(instance.value, examination),
    ...firewallFindings(instance.value, firewalls, examination),
  ];
}

async function identityOf(context: DiscoveryContext, signal: AbortSignal): Promise<InstanceIdentity> {
  const metadata = openMetadata(context, signal);
  try {
    return await readIdentity(metadata);
  } catch (error) {
    if (!(error instanceof DiscoveryError) || error.code === 'discovery.aborted') throw error;
    const project = context.env['GOOGLE_CLOUD_PROJECT'];
    return { ...(project && { project }), instance: shortHostname() };
  } finally {
    metadata.close();
  }
}

function granted(permission: string): Finding {
  return { check: 'rights', subject: permission, verdict: 'pass', evidence: `${permission} was answered.` };
}

/** The two words on what stands in front of each primary address. */
function addressFindings({ interfaces, name, zone }: ApiInstance, { topology }: Examination): Finding[] {
  const mappings = new Map(
    topology.interfaces.flatMap((nic) => nic.addresses.map((each) => [each.privateAddress, each] as const)),
  );
  return interfaces.flatMap((nic): Finding[] => {
    if (nic.address === undefined) return [];
    const finding = { check: 'addresses', subject: nic.address } as const;
    const mapping = mappings.get(nic.address);
    if (!mapping) {
      const evidence = `The API says that ${nic.name} has ${nic.address}; the metadata server does not tell of it.`;
      const remedy = `See whether the interface was attached a moment ago:\n  gcloud compute instances describe ${name} --zone=${zone} --format="yaml(networkInterfaces)"`;
      return [{ ...finding, verdict: 'warn', evidence, remedy }];
    }
    const said = `the API says ${nic.external ?? 'nothing'}`;
    if (mapping.provenance === 'imds' && !mapping.publicUnknown && mapping.publicAddress !== nic.external) {
      const evidence = `In front of ${nic.address} the metadata server says ${mapping.publicAddress ?? 'nothing'}, ${said}.`;
      const remedy =
        'One of the two is late: run this again in a minute. Where it stays so, give the address that calls come in by after --advertise, and see what the instance has:\n' +
        `  gcloud compute instances describe ${name} --zone=${zone} --format="yaml(networkInterfaces)"`;
      return [{ ...finding, verdict: 'fail', evidence, remedy }];
    }
    return [
      { ...finding, verdict: 'pass', evidence: `In front of ${nic.address} ${said}, as is advertised.` },
    ];
  });
}
