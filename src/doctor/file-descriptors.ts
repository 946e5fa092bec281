import type { Finding } from '../discovery/finding.ts';
import { kernelSetting } from './kernel-setting.ts';
import type { Patient } from './patient.ts';

const check = 'file-descriptors';
/** Listeners, databases, timers, logs: far above what an idle agent holds. */
const spare = 100;
/** RTP and RTCP, on the caller's side and on the callee's. */
const socketsPerCall = 4;

/** Whether the agent may open as many sockets as it has media ports. */
export function checkFileDescriptors({ configuration, machine, agent }: Patient): Finding[] {
  if (configuration.media === 'off') {
    return [{ check, verdict: 'skip', evidence: 'No RTP is relayed: --media off.' }];
  }
  const limits = kernelSetting(machine.root, `proc/${agent?.pid ?? 'self'}/limits`) ?? '';
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) {
    const evidence = 'The kernel does not tell how many files may be open.';
    return [{ check, verdict: 'skip', evidence }];
  }
  const limit = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  const { from, to } = configuration.rtpPorts;
  const ports = to - from + 1;
  const who = agent ? `cloudsip (pid ${agent.pid})` : 'A program started from here';
  if (limit >= ports + spare) {
    const evidence = `${who} may have ${soft} files open: enough for all ${ports} media ports.`;
    return [{ check, verdict: 'pass', evidence }];
  }
  const calls = Math.max(0, Math.floor((limit - spare) / socketsPerCall));
  return [
    {
      check,
      verdict: 'warn',
      evidence: `${who} may have ${soft} files open: enough for ${calls} calls at once, where the ${ports} media ports would carry ${Math.floor(ports / socketsPerCall)}.`,
      remedy: `Raise the limit, in the unit of systemd (systemctl edit cloudsip):\n  [Service]\n  LimitNOFILE=${Math.max(65_536, 2 ** Math.ceil(Math.log2(ports + spare)))}`,
    },
  ];
}
