import type { Examination, ExaminedListener, Finding } from '../discovery/finding.ts';
import { formatEndpoint } from '../net/address.ts';
import type { Listener } from '../net/listener.ts';
import type { Patient } from './patient.ts';

const timeoutMs = 45_000;

/** What only the cloud knows: rights, firewall rules, addresses that its API tells differently. */
export async function examineCloud(patient: Patient): Promise<readonly Finding[]> {
  const { provider, topology, listeners, configuration, context } = patient;
  const check = 'cloud';
  if (!provider?.examine) {
    const name = provider?.name ?? configuration.provider;
    const evidence = `The provider ${name} has no API that could be asked about firewall rules.`;
    return [{ check, verdict: 'skip', evidence }];
  }
  if (!topology) {
    return [
      { check, verdict: 'skip', evidence: 'The cloud told no addresses whose firewall could be looked at.' },
    ];
  }
  const examination: Examination = {
    topology,
    listeners: listeners.map(examined),
    rtpPorts: configuration.rtpPorts,
  };
  return provider.examine(context, examination, AbortSignal.timeout(timeoutMs));
}

function examined({ transport, bound, advertised }: Listener): ExaminedListener {
  const { address, port } = bound;
  return { transport, address, port, ...(advertised && { advertised: formatEndpoint(advertised) }) };
}
