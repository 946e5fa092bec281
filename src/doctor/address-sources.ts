import type { Finding } from '../discovery/finding.ts';
import type { Claim } from '../discovery/topology.ts';
import type { Patient } from './patient.ts';

/** Whether a public address is known for each private one, and whether all who were asked say the same. */
export function checkAddressSources({ topology }: Patient): Finding[] {
  if (!topology) return [];
  const check = 'addresses';
  const mappings = topology.interfaces.flatMap((nic) => nic.addresses);
  const found = mappings.flatMap((mapping): Finding[] => {
    const { privateAddress, publicUnknown, disagreements = [] } = mapping;
    if (publicUnknown && mapping.publicAddress === undefined) {
      return [
        {
          check,
          subject: privateAddress,
          verdict: 'warn',
          evidence: `Nobody who was asked can tell whether a public address stands in front of ${privateAddress}.`,
          remedy: `Name it: --listen 'udp:${privateAddress} as PUBLIC', or --advertise PUBLIC for all.`,
        },
      ];
    }
    if (disagreements.length === 0) return [];
    return [
      {
        check,
        subject: privateAddress,
        verdict: 'warn',
        evidence: `${[mapping, ...disagreements].map(claimText).join(', ')}; the first is used.`,
        remedy: `If the address has just been changed, try again in a minute; else name the right one: --listen 'udp:${privateAddress} as PUBLIC'.`,
      },
    ];
  });
  if (found.length > 0) return found;
  const mapped = mappings.filter(({ publicAddress }) => publicAddress !== undefined).length;
  const count = `${mappings.length} ${mappings.length === 1 ? 'address' : 'addresses'}`;
  const notes = (topology.notes ?? []).map((note) => ` ${note}`).join('');
  const evidence = `${topology.provider} tells ${count}, ${mapped} with a public address in front; nobody disagrees.${notes}`;
  return [{ check, verdict: 'pass', evidence }];
}

function claimText({ provenance, publicAddress }: Claim): string {
  return `${provenance} says ${publicAddress ?? 'that there is no public address'}`;
}
