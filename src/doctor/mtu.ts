import type { Finding } from '../discovery/finding.ts';
import { kernelSetting } from './kernel-setting.ts';
import type { Patient } from './patient.ts';

const check = 'mtu';
/** What IPv6 asks of every link (RFC 8200 5), and enough for SIP over UDP (RFC 3261 18.1.1). */
const least = 1280;

/** Clouds whose path to the internet carries less than their interfaces do. */
const paths: Readonly<Record<string, { readonly above: number; readonly hint: string }>> = {
  ec2: {
    above: 1500,
    hint: 'The internet gateway carries 1500 bytes: longer datagrams to the internet go in fragments.',
  },
  azure: {
    above: 1400,
    hint: 'The fabric fragments above 1400 bytes, and drops fragments that come out of order.',
  },
};

/** Whether the interfaces send no more in one packet than the cloud carries. */
export function checkMtu({ topology, machine }: Patient): Finding[] {
  if (!topology) return [];
  const path = paths[topology.provider];
  return topology.interfaces.flatMap(({ osName, mtu }): Finding[] => {
    if (osName === undefined) return [];
    const subject = osName;
    const text = kernelSetting(machine.root, `sys/class/net/${osName}/mtu`);
    const own = Number(text);
    if (!text || !Number.isInteger(own)) {
      const evidence = `The kernel does not tell the MTU of ${osName}.`;
      return [{ check, subject, verdict: 'skip', evidence }];
    }
    if (mtu !== undefined && own > mtu) {
      return [
        {
          check,
          subject,
          verdict: 'fail',
          evidence: `${osName} sends up to ${own} bytes, but the cloud's network carries ${mtu}: what is longer is lost.`,
          remedy: `Lower it, now and in the network's configuration:\n  ip link set dev ${osName} mtu ${mtu}`,
        },
      ];
    }
    if (own < least) {
      return [
        {
          check,
          subject,
          verdict: 'warn',
          evidence: `${osName} sends no more than ${own} bytes: SIP with SDP goes in fragments, which many networks drop.`,
          remedy: `Raise it:\n  ip link set dev ${osName} mtu ${mtu ?? 1500}`,
        },
      ];
    }
    const cloud = mtu === undefined ? '' : `, the cloud's network ${mtu}`;
    const hint = path !== undefined && own > path.above ? ` ${path.hint}` : '';
    return [
      { check, subject, verdict: 'pass', evidence: `${osName} sends up to ${own} bytes${cloud}.${hint}` },
    ];
  });
}
