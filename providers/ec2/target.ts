import type { Examination, ExaminedListener } from '../../src/discovery/finding.ts';
import {
  type Family,
  familyOf,
  formatEndpoint,
  isUnspecified,
  normalizeHost,
} from '../../src/net/address.ts';
import type { ApiInterface } from './api-answer.ts';
import { mappingsOf } from './api-topology.ts';
import type { PortRange } from './port-range.ts';

/** Something that packets from outside have to reach. */
export interface Target {
  /** `udp:10.0.0.15:5060`, `rtp eni-0123 10000-20000`. */
  readonly subject: string;
  readonly eni: ApiInterface;
  readonly family: Family;
  readonly protocol: 'udp' | 'tcp';
  readonly ports: PortRange;
}

/** Every listener, and the ports of RTP on each interface that has one. */
export function targetsOf(
  { listeners, rtpPorts }: Examination,
  interfaces: readonly ApiInterface[],
): readonly Target[] {
  const targets: Target[] = [];
  const media = new Map<string, Target>();
  for (const { transport, address, port } of listeners) {
    const bound = normalizeHost(address);
    const family = familyOf(bound);
    if (!family) continue;
    for (const eni of interfaces.filter((candidate) => hasAddress(candidate, bound, family))) {
      targets.push({
        subject: listenerSubject({ transport, address, port }),
        eni,
        family,
        protocol: transport === 'udp' ? 'udp' : 'tcp',
        ports: { from: port, to: port },
      });
      media.set(`${eni.id} ${family}`, {
        subject: `rtp ${eni.id} ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
        eni,
        family,
        protocol: 'udp',
        ports: rtpPorts,
      });
    }
  }
  return [...targets, ...media.values()];
}

/** `udp:10.0.0.15:5060` */
export function listenerSubject({ transport, address, port }: ExaminedListener): string {
  return `${transport}:${formatEndpoint({ address: normalizeHost(address), port })}`;
}

function hasAddress(eni: ApiInterface, bound: string, family: Family): boolean {
  return mappingsOf(eni).some(
    ({ privateAddress }) =>
      privateAddress === bound || (isUnspecified(bound) && familyOf(privateAddress) === family),
  );
}

/** The network of all hosts of that family. */
export function everywhere(family: Family): string {
  return family === 'ipv4' ? '0.0.0.0/0' : '::/0';
}

/** The first of each interface and family, for what does not depend on ports. */
export function onePerInterface(targets: readonly Target[]): readonly Target[] {
  return [...new Map(targets.map((target) => [`${target.eni.id} ${target.family}`, target])).values()];
}
