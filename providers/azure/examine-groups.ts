import type { Examination, Finding } from '../../src/discovery/finding.ts';
import { bracket } from '../../src/net/address.ts';
import type { ArmAddress, ArmAnswer, ArmNic, EffectiveGroup } from './arm-answer.ts';
import type { AzureMachine } from './instance.ts';
import { EXAMINATION_ACTION } from './rights.ts';
import { type GroupVerdict, judgeGroup, type Passage } from './security-group.ts';

const CHECK = 'security-group';

interface Door extends Passage {
  /** `udp:10.0.0.4:5060`, `RTP udp:10.0.0.4:10000-20000`. */
  readonly subject: string;
  /** Becomes the name of a rule. */
  readonly purpose: string;
}

/** Whether every network security group on the way lets the internet in to each listener and to the media. */
export function examineGroups(examination: Examination, machine: AzureMachine, arm: ArmAnswer): Finding[] {
  const { listeners, rtpPorts } = examination;
  const doors = listeners.map(({ transport, address, port }): Door => {
    const subject = `${transport}:${bracket(address)}:${port}`;
    const protocol = transport === 'udp' ? 'udp' : 'tcp';
    return {
      subject,
      purpose: `sip-${transport}-${port}`,
      protocol,
      address,
      ports: { from: port, to: port },
    };
  });
  const media = [...new Set(listeners.map(({ address }) => address))].map((address): Door => {
    const subject = `RTP udp:${bracket(address)}:${rtpPorts.from}-${rtpPorts.to}`;
    return { subject, purpose: 'rtp', protocol: 'udp', address, ports: rtpPorts };
  });
  return [...doors, ...media].map((door) => examineDoor(door, machine, arm));
}

function examineDoor(door: Door, machine: AzureMachine, arm: ArmAnswer): Finding {
  const { subject, address } = door;
  const nic = arm.nics.find((one) => one.addresses.some(({ privateAddress }) => privateAddress === address));
  const known = nic?.addresses.find(({ privateAddress }) => privateAddress === address);
  const skip = (evidence: string): Finding => ({ check: CHECK, subject, verdict: 'skip', evidence });
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
    const refusal = arm.refusals.find(({ action }) => action === EXAMINATION_ACTION);
    return skip(refusal ? `${refusal.message}.` : 'The effective rules were not told.');
  }
  if (nic.groups.length === 0) return withoutGroup(door, nic, known);
  return judged(door, nic.groups);
}

/** "Standard public IP addresses are closed to inbound traffic unless a network security group opens them." */
function withoutGroup({ subject, address }: Door, nic: ArmNic, { sku }: ArmAddress): Finding {
  const name = nameOf(nic.id);
  if (sku === 'Basic') {
    const evidence = `No network security group stands on ${name}, and a Basic public address is open.`;
    return { check: CHECK, subject, verdict: 'pass', evidence };
  }
  return {
    check: CHECK,
    subject,
    verdict: 'fail',
    evidence: `No network security group stands on ${name} or its subnet, and the public address of ${address} is a Standard one: nothing comes in.`,
    remedy: `az network nsg create --resource-group '${groupOf(nic.id)}' --name cloudsip && az network nic update --ids '${nic.id}' --network-security-group cloudsip (then run "cloudsip doctor" again for the rules)`,
  };
}

function judged(door: Door, groups: readonly EffectiveGroup[]): Finding {
  const { subject, protocol, ports } = door;
  const verdicts = groups.map((group) => ({ group, ...judgeGroup(group, door) }));
  const shut = verdicts.find(({ closed }) => closed.length > 0);
  const exceptions = verdicts.flatMap((verdict) => verdict.exceptions);
  const names = groups.map(({ id }) => nameOf(id)).join(' and ');
  const asked = `${protocol.toUpperCase()} ${rangeText(ports)}`;
  if (!shut) {
    const denied = exceptions.filter(({ allow }) => !allow);
    const evidence = `${names}: open to the internet for ${asked}`;
    if (denied.length === 0) return { check: CHECK, subject, verdict: 'pass', evidence: `${evidence}.` };
    return {
      check: CHECK,
      subject,
      verdict: 'warn',
      evidence: `${evidence}, but ${exceptionText(denied)}.`,
      remedy: 'Look whether callers or providers are among those; if so, delete the rule.',
    };
  }
  const { group, closed } = shut;
  const [first] = closed;
  const which = closed.map(({ from, to, rule }) => `${rangeText({ from, to })} by ${rule}`).slice(0, 4);
  const open = shut.exceptions.filter(({ allow }) => allow);
  const evidence = `${nameOf(group.id)} closes ${protocol.toUpperCase()} ${which.join(', ')} to the internet`;
  return {
    check: CHECK,
    subject,
    verdict: open.length > 0 ? 'warn' : 'fail',
    evidence: open.length > 0 ? `${evidence}, though ${exceptionText(open)}.` : `${evidence}.`,
    remedy: openingRule(group, door, first?.priority ?? 65_500),
  };
}

/** A rule that comes before the one that closes, at a priority that is free. */
function openingRule(group: EffectiveGroup, { purpose, protocol, ports }: Door, closedAt: number): string {
  const taken = new Set(group.rules.map(({ priority }) => priority));
  let priority = Math.min(1000, closedAt - 1);
  while (priority >= 100 && taken.has(priority)) priority--;
  if (priority < 100)
    return `Delete or narrow the rule of priority ${closedAt} in ${nameOf(group.id)}: none can stand before it.`;
  return [
    `az network nsg rule create --resource-group '${groupOf(group.id)}' --nsg-name '${nameOf(group.id)}'`,
    `--name 'cloudsip-${purpose}' --priority ${priority} --direction Inbound --access Allow`,
    `--protocol ${protocol === 'udp' ? 'Udp' : 'Tcp'} --source-address-prefixes Internet`,
    `--destination-port-ranges ${rangeText(ports)}`,
  ].join(' ');
}

function exceptionText(exceptions: GroupVerdict['exceptions']): string {
  const shown = exceptions.slice(0, 3).map(({ rule, allow, sources }) => {
    return `${rule} ${allow ? 'lets in' : 'shuts out'} ${sources}`;
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
