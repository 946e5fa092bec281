import type { Finding } from '../discovery/finding.ts';
import type { AddressMapping } from '../discovery/topology.ts';
import { bracket, familyOf, formatEndpoint, normalizeHost } from '../net/address.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import type { Patient } from './patient.ts';

const check = 'advertised';

/** Whether each listener advertises the public address that the cloud maps to it, or a name that leads there. */
export async function checkAdvertisedAddresses(patient: Patient): Promise<Finding[]> {
  const { listeners, listenerError, topology } = patient;
  if (listenerError) {
    return [
      {
        check,
        verdict: 'fail',
        evidence: 'No listener can be opened with this configuration.',
        remedy: listenerError.message,
      },
    ];
  }
  if (!topology) {
    const evidence = 'The cloud told no addresses to compare with.';
    return [{ check, verdict: 'skip', evidence }];
  }
  const findings = await Promise.all(listeners.map((listener) => checkOne(listener, patient)));
  return [...findings, ...sharedFindings(listeners)];
}

/** Two sockets under one name: only one of them can be reached there. */
function sharedFindings(listeners: readonly Listener[]): Finding[] {
  const byName = Map.groupBy(
    listeners.filter(({ advertised }) => advertised !== undefined),
    ({ transport, advertised }) => `${transport}:${formatEndpoint(advertised!)}`,
  );
  return [...byName].flatMap(([subject, sharing]): Finding[] => {
    if (sharing.length < 2) return [];
    return [
      {
        check,
        subject,
        verdict: 'warn',
        evidence: `${sharing.map(({ bound }) => formatEndpoint(bound)).join(', ')} are all advertised as ${subject}: only one of them can be reached there.`,
        remedy: `Give each its own: --listen '${listenerKey(sharing[0]!)} as PUBLIC', or leave --advertise out.`,
      },
    ];
  });
}

async function checkOne(listener: Listener, patient: Patient): Promise<Finding> {
  const { topology, configuration, machine } = patient;
  const subject = listenerKey(listener);
  const bound = normalizeHost(listener.bound.address);
  const mappings = topology!.interfaces.flatMap((nic) => nic.addresses);
  const mapping = mappings.find(({ privateAddress }) => normalizeHost(privateAddress) === bound);
  const { advertised } = listener;
  const expected = mapping?.publicAddress;
  if (!advertised) return notAdvertised(subject, bound, mapping);

  const host = normalizeHost(advertised.address);
  const shown = formatEndpoint(advertised);
  const claims = new Set(configuration.aliases.map((alias) => normalizeHost(alias.replace(/:\d+$/, ''))));
  let addresses: readonly string[] = [host];
  if (familyOf(host) === undefined) {
    try {
      addresses = (await machine.resolve(host)).map(normalizeHost);
    } catch (error) {
      return {
        check,
        subject,
        verdict: 'fail',
        evidence: `It advertises ${shown}, and that name has no address here: ${(error as Error).message}.`,
        remedy: `Make a DNS record for ${host} that leads to ${expected ?? 'the public address'}, or advertise the address itself.`,
      };
    }
  }
  const said = addresses.join(', ') === host ? shown : `${shown} (${addresses.join(', ')})`;
  if (addresses.includes(expected ?? bound)) {
    if (advertised.port !== 0 && advertised.port !== listener.bound.port) {
      return {
        check,
        subject,
        verdict: 'warn',
        evidence: `It advertises ${said}, and 1-to-1 NAT keeps the port: what is sent there arrives at port ${advertised.port}, where this listener is not.`,
        remedy: `Write the same port on both sides: ${listener.transport}:${bracket(bound)}:${advertised.port} as ${shown}.`,
      };
    }
    return { check, subject, verdict: 'pass', evidence: `It advertises ${said}, as the cloud says.` };
  }
  if (claims.has(host)) {
    const evidence = `It advertises ${said}, which --alias declares to be another machine in front; whether that leads here cannot be seen from here.`;
    return { check, subject, verdict: 'pass', evidence };
  }
  if (mapping?.publicUnknown && expected === undefined) {
    const evidence = `It advertises ${said}; whether that stands in front of ${bound}, this cloud does not tell.`;
    return { check, subject, verdict: 'skip', evidence };
  }
  const other = mappings.find(({ publicAddress }) => publicAddress && addresses.includes(publicAddress));
  const really = other
    ? `, which stands in front of ${other.privateAddress}`
    : ', which leads to none of its addresses';
  const cloud = expected ?? 'no public address';
  return {
    check,
    subject,
    verdict: 'fail',
    evidence: `It advertises ${said}${really}; according to ${topology!.provider}, ${cloud} stands in front of ${bound}.`,
    remedy:
      expected === undefined
        ? `Give ${bound} a public address, or leave the advertised one out. If a load balancer stands there, say so: --alias ${host}.`
        : `Advertise ${expected}, or leave it out of --advertise and "as": it is found by itself. If ${host} is a load balancer, say so: --alias ${host}.`,
  };
}

function notAdvertised(subject: string, bound: string, mapping: AddressMapping | undefined): Finding {
  const evidence = mapping?.publicUnknown
    ? `It advertises ${bound} itself, since no public address is known.`
    : `It advertises ${bound} itself: the cloud has no public address in front of it.`;
  return { check, subject, verdict: 'pass', evidence };
}
