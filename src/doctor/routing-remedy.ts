import type { Topology } from '../discovery/topology.ts';
import { normalizeHost } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import { nthAddress } from '../net/nth-address.ts';
import type { Machine } from './patient.ts';
import type { OwnAddress } from './source-routing.ts';

/** Numbers of the kernel's own tables end here; `main` is 254. */
const ownTables: ReadonlySet<number> = new Set([0, 253, 254, 255]);

/** The commands that make answers of `own` leave by its interface, and the same to keep, in netplan's words. */
export function routingRemedy(
  own: OwnAddress,
  all: readonly OwnAddress[],
  topology: Topology,
  machine: Machine,
): string {
  const { address, device, family } = own;
  const rules = machine.routingRules(family);
  const siblings = all.filter((each) => each.device === device && each.family === family);
  // A table that already serves another address of this interface only lacks the rule.
  const known = rules.find(
    ({ from, table }) =>
      !ownTables.has(table) && siblings.some((each) => from !== undefined && isHost(from, each)),
  )?.table;
  const table = known ?? freeTable(new Set(rules.map((rule) => rule.table)));
  const network = networkOf(own, topology);
  const width = family === 'ipv4' ? 32 : 128;
  const ip = family === 'ipv4' ? 'ip' : 'ip -6';
  const any = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
  const gateway = network && nthAddress(network.split('/')[0]!, 1);
  // GCP gives its interfaces a /32: there the gateway is on no network of the interface.
  const onlink = own.prefixLength === width;
  const lines = [`${ip} rule add from ${address} lookup ${table}`];
  if (network && !onlink) lines.push(`${ip} route replace ${network} dev ${device} table ${table}`);
  lines.push(
    `${ip} route replace default via ${gateway ?? 'GATEWAY'} dev ${device} table ${table}${onlink ? ' onlink' : ''}`,
  );
  const netplan = [
    'network:',
    '  version: 2',
    '  ethernets:',
    `    ${device}:`,
    '      routing-policy:',
    ...siblings.map((each) => `        - {from: ${quoted(each.address)}, table: ${table}}`),
    '      routes:',
    `        - {to: ${quoted(any)}, via: ${quoted(gateway ?? 'GATEWAY')}, table: ${table}${onlink ? ', on-link: true' : ''}}`,
    ...(network && !onlink ? [`        - {to: ${quoted(network)}, scope: link, table: ${table}}`] : []),
  ];
  return [
    `Let what comes from ${address} ask a table of its own, now:`,
    ...lines.map((line) => `  ${line}`),
    'and after the next boot, with netplan in /etc/netplan/90-cloudsip.yaml:',
    ...netplan.map((line) => `  ${line}`),
  ].join('\n');
}

function networkOf({ address }: OwnAddress, topology: Topology): string | undefined {
  const nic = topology.interfaces.find((each) =>
    each.addresses.some(({ privateAddress }) => normalizeHost(privateAddress) === normalizeHost(address)),
  );
  return nic?.subnets.find((cidr) => parseCidr(cidr)?.contains(address));
}

function isHost(cidr: string, { address }: OwnAddress): boolean {
  return normalizeHost(cidr.split('/')[0]!) === normalizeHost(address);
}

function freeTable(used: ReadonlySet<number>): number {
  let table = 101;
  while (used.has(table)) table++;
  return table;
}

/** A colon would end a plain value of YAML's flow style. */
function quoted(text: string): string {
  return text.includes(':') ? `"${text}"` : text;
}
