import type { Finding } from '../discovery/finding.ts';
import { kernelSetting } from './kernel-setting.ts';
import type { Patient } from './patient.ts';
import { ownAddresses } from './source-routing.ts';

const check = 'reverse-path-filter';
const internet = '198.41.0.4';

/** Whether the kernel's own filter drops what comes in by an interface that an answer would not leave by. */
export function checkReversePathFilter(patient: Patient): Finding[] {
  const { machine, topology } = patient;
  if (!topology) return [];
  const own = ownAddresses(patient).filter(({ family }) => family === 'ipv4');
  const devices = [...new Set(own.map(({ device }) => device))];
  const all = Number(kernelSetting(machine.root, 'proc/sys/net/ipv4/conf/all/rp_filter'));
  return devices.map((device): Finding => {
    const path = `proc/sys/net/ipv4/conf/${device}/rp_filter`;
    const mine = kernelSetting(machine.root, path);
    if (mine === undefined || Number.isNaN(all)) {
      return { check, subject: device, verdict: 'skip', evidence: `/${path} cannot be read.` };
    }
    // The kernel obeys the greater one: 0 off, 1 strict, 2 loose.
    const filter = Math.max(all, Number(mine));
    if (filter !== 1) {
      const word = filter === 2 ? 'loose (2)' : 'off (0)';
      return { check, subject: device, verdict: 'pass', evidence: `rp_filter is ${word}: it drops nothing.` };
    }
    let astray: string | undefined;
    try {
      astray = own
        .filter((each) => each.device === device)
        .find(({ address }) => machine.routeFrom(address, internet)?.device !== device)?.address;
    } catch {
      const evidence = 'rp_filter is strict (1), and the kernel could not be asked for its routes.';
      return { check, subject: device, verdict: 'skip', evidence };
    }
    if (astray === undefined) {
      const evidence = 'rp_filter is strict (1), and answers leave where packets came in.';
      return { check, subject: device, verdict: 'pass', evidence };
    }
    return {
      check,
      subject: device,
      verdict: 'fail',
      evidence: `rp_filter is strict (1), and answers from ${astray} leave by another interface: the kernel drops what the internet sends to ${astray}, before anybody sees it.`,
      remedy: `Repair the source routing, or loosen the filter:\n  sysctl -w net.ipv4.conf.${device}.rp_filter=2`,
    };
  });
}
