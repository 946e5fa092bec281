import type { Finding } from '../discovery/finding.ts';
import type { PortRange } from '../media/port-pool.ts';
import { kernelSetting } from './kernel-setting.ts';
import { findSocketOwners, readOpenSockets } from './open-sockets.ts';
import type { Patient } from './patient.ts';

const check = 'rtp-ports';
/** Reserved by Azure's fabric; the port pool leaves it out everywhere. */
const azureReserved = 65_330;

/** Whether somebody else may take the media ports: the kernel for its own choices, or other programs. */
export function checkRtpPorts(patient: Patient): Finding[] {
  const { configuration, machine } = patient;
  const range = configuration.rtpPorts;
  const subject = `${range.from}-${range.to}`;
  if (configuration.media === 'off') {
    return [{ check, subject, verdict: 'skip', evidence: 'No RTP is relayed: --media off.' }];
  }
  return [checkOverlap(machine.root, range, subject), checkOthers(patient, subject)];
}

/** Other programs' sockets without a port of their own get one from the kernel's range. */
function checkOverlap(root: string, range: PortRange, subject: string): Finding {
  const local = /^(\d+)\s+(\d+)$/.exec(kernelSetting(root, 'proc/sys/net/ipv4/ip_local_port_range') ?? '');
  if (!local) {
    return { check, subject, verdict: 'skip', evidence: 'The kernel does not tell its ip_local_port_range.' };
  }
  const kernel = { from: Number(local[1]), to: Number(local[2]) };
  const both = { from: Math.max(range.from, kernel.from), to: Math.min(range.to, kernel.to) };
  const azure =
    range.from <= azureReserved && azureReserved <= range.to
      ? ` Port ${azureReserved}, which Azure reserves, is left out.`
      : '';
  const chosen = `The kernel chooses local ports from ${kernel.from}-${kernel.to}`;
  if (both.from > both.to) {
    return { check, subject, verdict: 'pass', evidence: `${chosen}, apart from these.${azure}` };
  }
  const reserved = kernelSetting(root, 'proc/sys/net/ipv4/ip_local_reserved_ports') ?? '';
  if (covers(reserved, both)) {
    return { check, subject, verdict: 'pass', evidence: `${chosen}, but for ${reserved}.${azure}` };
  }
  const wanted = [reserved, `${both.from}-${both.to}`].filter((part) => part !== '').join(',');
  return {
    check,
    subject,
    verdict: 'warn',
    evidence: `${chosen}, so other programs get ports ${both.from}-${both.to} by chance.${azure}`,
    remedy: `Keep them free, now and in /etc/sysctl.d/90-cloudsip.conf:\n  sysctl -w net.ipv4.ip_local_reserved_ports=${wanted}`,
  };
}

/** `8080,10000-20000` holds all of the range, in one piece or several. */
function covers(reserved: string, { from, to }: PortRange): boolean {
  const pieces = reserved
    .split(',')
    .map((part) => part.trim().split('-').map(Number))
    .map(([first = Number.NaN, last = first]) => ({ first, last }))
    .sort((a, b) => a.first - b.first);
  let next = from;
  for (const { first, last } of pieces) if (first <= next && last >= next) next = last + 1;
  return next > to;
}

function checkOthers({ configuration, machine, agent }: Patient, subject: string): Finding {
  const { from, to } = configuration.rtpPorts;
  const inRange = readOpenSockets(machine.root, 'udp').filter(({ port }) => port >= from && port <= to);
  const owners = findSocketOwners(machine.root, new Set(inRange.map(({ inode }) => inode)));
  const others = inRange.filter(({ inode, uid }) => {
    const owner = owners.get(inode);
    return owner ? owner.pid !== agent?.pid : uid !== agent?.uid;
  });
  if (others.length === 0) {
    const own = inRange.length === 0 ? 'None is in use.' : `${inRange.length} are in use, all by cloudsip.`;
    return { check, subject, verdict: 'pass', evidence: own };
  }
  const names = new Set(
    others.map(({ inode, uid }) => {
      const owner = owners.get(inode);
      return owner ? `${owner.program} (pid ${owner.pid})` : `user ${uid}`;
    }),
  );
  const evidence = `${others.length} of them are held by others: ${[...names].slice(0, 5).join(', ')}. cloudsip goes round them.`;
  // Going round a few costs nothing.
  if (others.length * 10 < to - from) return { check, subject, verdict: 'pass', evidence };
  return {
    check,
    subject,
    verdict: 'warn',
    evidence,
    remedy: 'Give cloudsip a range of its own: --rtp-ports.',
  };
}
