import { parseCidr } from '../../src/net/cidr.ts';
import type { EffectiveRule } from './arm-answer.ts';

export interface Ports {
  readonly from: number;
  readonly to: number;
}

/** What is asked of a group: does it let packets between the internet and this address through? */
export interface Passage {
  readonly protocol: 'udp' | 'tcp';
  /** Public addresses are translated before the group looks: it sees the private one. */
  readonly address: string;
  /** Of the receiver. */
  readonly ports: Ports;
}

export interface GroupVerdict {
  /** Ports that some rule closes to the whole internet, with that rule; none where all are open. */
  readonly closed: readonly (Ports & { readonly rule: string; readonly priority: number })[];
  /** Rules before the deciding ones that concern some of the internet only, and what they do. */
  readonly exceptions: readonly {
    readonly rule: string;
    readonly allow: boolean;
    readonly remote: string;
  }[];
}

/**
 * What the rules of one direction in a network security group do with such packets. They are looked at in the
 * order of their priority, and for each port the first that fits decides; the implied last one denies.
 */
export function judgeRules(rules: readonly EffectiveRule[], passage: Passage): GroupVerdict {
  const closed: GroupVerdict['closed'][number][] = [];
  const exceptions: GroupVerdict['exceptions'][number][] = [];
  let open: Ports[] = [passage.ports];
  for (const rule of rules.toSorted((a, b) => a.priority - b.priority)) {
    if (open.length === 0) break;
    if (rule.protocol !== '*' && rule.protocol !== passage.protocol) continue;
    if (!rule.own.some((prefix) => holds(prefix, passage.address))) continue;
    const ranges = rule.ports.map(portsOf).filter((range) => range !== undefined);
    const touched = open.flatMap((part) => ranges.flatMap((range) => common(part, range) ?? []));
    if (touched.length === 0) continue;
    if (!isForAll(rule)) {
      if (!rule.remote.some(isInside)) exceptions.push(exceptionOf(rule));
      continue;
    }
    if (!rule.allow) {
      const { name, priority } = rule;
      closed.push(...joined(touched).map((range) => ({ ...range, rule: name.slice(0, 100), priority })));
    }
    open = open.flatMap((part) => without(part, ranges));
  }
  closed.push(...open.map((range) => ({ ...range, rule: 'no rule', priority: 65_500 })));
  return { closed, exceptions };
}

/** Whether the rule is about everybody on the internet, and about any port of the sender. */
function isForAll({ remote, sourcePorts }: EffectiveRule): boolean {
  const everyPort = sourcePorts.length === 0 || sourcePorts.some((text) => width(portsOf(text)) >= 65_534);
  const everybody = remote.some((prefix) => /^(\*|any|internet|0\.0\.0\.0\/0|::\/0)$/i.test(prefix));
  return everyPort && everybody && !remote.some(isInside);
}

/** Tags that stand for the inside, together with the networks that they are expanded to. */
function isInside(prefix: string): boolean {
  return /^(virtualnetwork|azureloadbalancer)$/i.test(prefix);
}

function exceptionOf({ name, allow, remote }: EffectiveRule): GroupVerdict['exceptions'][number] {
  const shown = remote.slice(0, 3).join(', ');
  return { rule: name.slice(0, 100), allow, remote: remote.length > 3 ? `${shown} and others` : shown };
}

function holds(prefix: string, address: string): boolean {
  // What was written as "any" is told as 0.0.0.0/0, for both families.
  if (/^(\*|any|virtualnetwork|0\.0\.0\.0\/0)$/i.test(prefix)) return true;
  return parseCidr(prefix)?.contains(address) ?? false;
}

/** `5060`, `10000-20000`, `*`; undefined where it is none of them. */
function portsOf(text: string): Ports | undefined {
  if (text === '*') return { from: 0, to: 65_535 };
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text.trim());
  if (!match) return undefined;
  const from = Number(match[1]);
  return { from, to: Number(match[2] ?? from) };
}

function width(ports: Ports | undefined): number {
  return ports ? ports.to - ports.from : -1;
}

function common(a: Ports, b: Ports): Ports | undefined {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from <= to ? { from, to } : undefined;
}

function without(part: Ports, ranges: readonly Ports[]): Ports[] {
  let rest = [part];
  for (const range of ranges) {
    rest = rest.flatMap((piece) => {
      const cut = common(piece, range);
      if (!cut) return [piece];
      const left = { from: piece.from, to: cut.from - 1 };
      const right = { from: cut.to + 1, to: piece.to };
      return [left, right].filter(({ from, to }) => from <= to);
    });
  }
  return rest;
}

/** Several ranges of one rule may overlap or touch. */
function joined(ranges: readonly Ports[]): Ports[] {
  const result: Ports[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last && from <= last.to + 1)
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, to) };
    else result.push({ from, to });
  }
  return result;
}
