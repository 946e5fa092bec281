import type { Examination, Finding } from '../../src/discovery/finding.ts';
import { bracket } from '../../src/net/address.ts';
import type { ArmAddress, ArmAnswer, ArmNic, EffectiveGroup } from './arm-answer.ts';
import type { AzureMachine } from './instance.ts';
import { EFFECTIVE_GROUPS } from './rights.ts';
import { type GroupVerdict, judgeRules, type Passage } from './security-group.ts';

/** Where callers, providers and their media may listen. */
const CALLER_PORTS = { from: 1024, to: 65_535 } as const;

interface Door extends Passage {
  readonly check: 'security-group' | 'security-group-outbound';
  /** `udp:10.0.0.4:5060`, `RTP udp:10.0.0.4:10000-20000`. */
  readonly subject: string;
  /** Becomes the name of a rule. */
  readonly purpose: string;
}

/** Whether every network security group on the way lets through what each listener and the media need. */
export function examineGroups(examination: Examination, machine: AzureMachine, arm: ArmAnswer): Finding[] {
  const { listeners, rtpPorts } = examination;
  const doors = listeners.map(
    ({ transport, address, port }): Door => ({
      check: 'security-group',
      subject: `${transport}:${bracket(address)}:${port}`,
      purpose: `sip-${transport}-${port}`,
      protocol: transport === 'udp' ? 'udp' : 'tcp',
      address,
      ports: { from: port, to: port },
    }),
  );
  const media = [...new Set(listeners.map(({ address }) => address))].flatMap((address): Door[] => [
    {
      check: 'security-group',
      subject: `RTP udp:${bracket(address)}:${rtpPorts.from}-${rtpPorts.to}`,
      purpose: 'rtp',
      protocol: 'udp',
      address,
      ports: rtpPorts,
    },
    // Answers go out by themselves; what begins here needs a rule.
    {
      check: 'security-group-outbound',
      subject: `udp:${bracket(address)}`,
      purpose: 'outbound',
      protocol: 'udp',
      address,
      ports: CALLER_PORTS,
    },
  ]);
  return [...doors, ...media].map((door) => examineDoor(door, machine, arm));
}

function examineDoor(door: Door, machine: AzureMachine, arm: ArmAnswer): Finding {
  const { check, subject, address } = door;
  const nic = arm.nics.find((one) => one.addresses.some(({ privateAddress }) => privateAddress === address));
  const known = nic?.addresses.find(({ privateAddress }) => privateAddress === address);
  const outbound = check === 'security-group-outbound';
  const skip = (evidence: string): Finding => ({ check, subject, verdict: 'skip', evidence });
  if (!nic || !known) return skip(`The Resource Manager shows no interface of this VM with ${address}.`);
  if (known.publicId === undefined) {
    return skip(
      `No public address stands in front of ${address}: the internet does not come here by itself.`,
    );
  }
  if (machine.resource?.scaleSet !== undefined) {
    return skip(
      'Azure tells no effective rules for instances of uniform scale sets: look at the scale set in the portal.',
    );
  }
  if (!nic.groups) {
    const refusal = arm.refusals.find(({ action }) => action === EFFECTIVE_GROUPS);
    return skip(refusal ? `${refusal.message}.` : 'The effective rules were not told.');
  }
  if (nic.groups.length === 0 && !outbound) return withoutGroup(door, nic, known);
  return judged(door, nic.groups);
}

/** "Standard public IP addresses are closed to inbound traffic unless a network security group opens them." */
function withoutGroup({ check, subject, address }: Door, nic: ArmNic, { sku }: ArmAddress): Finding {
  const name = nameOf(nic.id);
  if (sku === 'Basic') {
    const evidence = `No network security group stands on ${name}, and a Basic public address is open.`;
    return { check, subject, verdict: 'pass', evidence };
  }
  return {
    check,
    subject,
    verdict: 'fail',
    evidence: `No network security group stands on ${name} or its subnet, and the public address of ${address} is a Standard one: nothing comes in.`,
    remedy: `az network nsg create --resource-group '${groupOf(nic.id)}' --name cloudsip && az network nic update --ids '${nic.id}' --network-security-group cloudsip (then run "cloudsip doctor" again for the rules)`,
  };
}

function judged(door: Door, groups: readonly EffectiveGroup[]): Finding {
  const { check, subject, protocol, ports } = door;
  const outbound = check === 'security-group-outbound';
  const verdicts = groups.map((group) => ({
    group,
    ...judgeRules(outbound ? group.outbound : group.inbound, door),
  }));
  const shut = verdicts.find(({ closed }) => closed.length > 0);
  const exceptions = verdicts.flatMap((verdict) => verdict.exceptions);
  const names = groups.map(({ id }) => nameOf(id)).join(' and ') || 'No group';
  const upper = protocol.toUpperCase();
  if (!shut) {
    const denied = exceptions.filter(({ allow }) => !allow);
    const evidence = `${names}: ${upper} ${rangeText(ports)} is open ${outbound ? 'towards' : 'from'} the internet`;
    if (denied.length === 0) return { check, subject, verdict: 'pass', evidence: `${evidence}.` };
    return {
      check,
      subject,
      verdict: 'warn',
      evidence: `${evidence}, but ${exceptionText(denied)}.`,
      remedy: 'Look whether callers or providers are among those; if so, delete the rule.',
    };
  }
  const { group, closed } = shut;
  const which = closed.map(({ from, to, rule }) => `${rangeText({ from, to })} by ${rule}`).slice(0, 4);
  const open = shut.exceptions.filter(({ allow }) => allow);
  const evidence = `${nameOf(group.id)} closes ${upper} ${which.join(', ')} ${outbound ? 'towards' : 'to'} the internet`;
  return {
    check,
    subject,
    verdict: open.length > 0 || outbound ? 'warn' : 'fail',
    evidence: open.length > 0 ? `${evidence}, though ${exceptionText(open)}.` : `${evidence}.`,
    remedy: openingRule(group, door, closed[0]?.priority ?? 65_500),
  };
}

/** A rule that comes before the one that closes, at a priority that is free. */
function openingRule(
  group: EffectiveGroup,
  { check, purpose, protocol, ports }: Door,
  closedAt: number,
): string {
  const outbound = check === 'security-group-outbound';
  const taken = new Set((outbound ? group.outbound : group.inbound).map(({ priority }) => priority));
  let priority = Math.min(1000, closedAt - 1);
  while (priority >= 100 && taken.has(priority)) priority--;
  if (priority < 100)
    return `Delete or narrow the rule of priority ${closedAt} in ${nameOf(group.id)}: none can stand before it.`;
  return [
    `az network nsg rule create --resource-group '${groupOf(group.id)}' --nsg-name '${nameOf(group.id)}'`,
    `--name 'cloudsip-${purpose}' --priority ${priority} --direction ${outbound ? 'Outbound' : 'Inbound'} --access Allow`,
    `--protocol ${protocol === 'udp' ? 'Udp' : 'Tcp'} ${outbound ? '--destination' : '--source'}-address-prefixes Internet`,
    `--destination-port-ranges ${rangeText(ports)}`,
  ].join(' ');
}

function exceptionText(exceptions: GroupVerdict['exceptions']): string {
  const shown = exceptions.slice(0, 3).map(({ rule, allow, remote }) => {
    return `${rule} ${allow ? 'lets through' : 'shuts out'} ${remote}`;
  });
  return shown.join(', ');
}

function rangeText({ from, to }: { readonly from: number; readonly to: number }): string {
  return from === to ? String(from) : `${from}-${to}`;
}

function nameOf(id: string): string {
  return id.split('/').at(-1)?.slice(0, 80) || 'a network security group';
}

function groupOf(id: string): string {
  return /\/resourceGroups\/([^/']+)\//i.exec(id)?.[1] ?? 'GROUP';
}
