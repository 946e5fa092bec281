import type { Finding } from '../discovery/finding.ts';
import type { MachineFacts } from '../discovery/machine-facts.ts';
import type { Patient } from './patient.ts';

const telling = ['sys_vendor', 'product_name', 'board_vendor', 'bios_vendor', 'chassis_asset_tag'];

/** Which cloud the machine's own facts name, and whether that is the one that is asked. */
export function checkDetection({ configuration, context, providers, provider }: Patient): Finding[] {
  const { facts } = context;
  const seen = factsText(facts);
  const recognised = providers.find((each) => each.name !== 'local' && each.detect(facts))?.name;
  const check = 'detection';
  if (configuration.provider === 'auto') {
    const evidence =
      recognised === undefined
        ? `No cloud that cloudsip knows is named by the firmware (${seen}): the addresses of the operating system are taken.`
        : `The firmware names ${recognised}: ${seen}.`;
    return [{ check, verdict: 'pass', evidence }];
  }
  const asked = provider?.name ?? configuration.provider;
  // These two are for machines whose cloud is not to be asked.
  if (recognised === undefined || recognised === asked || asked === 'local' || asked === 'static') {
    const firmware = recognised === undefined ? 'no cloud that cloudsip knows' : recognised;
    return [
      {
        check,
        verdict: 'pass',
        evidence: `The configuration names ${asked}; the firmware names ${firmware} (${seen}).`,
      },
    ];
  }
  return [
    {
      check,
      verdict: 'warn',
      evidence: `The configuration names ${asked}, but the firmware names ${recognised} (${seen}).`,
      remedy: `Leave --provider ${asked} out, or write --provider ${recognised}.`,
    },
  ];
}

function factsText({ dmi, hypervisorUuid }: MachineFacts): string {
  const shown = telling.flatMap((name) =>
    dmi[name] === undefined ? [] : `${name} ${JSON.stringify(dmi[name].slice(0, 60))}`,
  );
  if (/^ec2/i.test(hypervisorUuid ?? '')) shown.push(`hypervisor uuid ${hypervisorUuid}`);
  return shown.join(', ') || 'it tells nothing';
}
