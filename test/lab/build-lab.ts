import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../support/process.ts';
import { Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import { LabHost } from './lab-host.ts';
import { insideNamespace } from './network-namespace.ts';
import { cloudRouterRules, homeRouterRules } from './router-rules.ts';
import type { HostSpec, InterfaceSpec, RouteSpec, Topology } from './topology.ts';
import { Watchdog } from './watchdog.ts';

let built = 0;

/**
 * Builds a topology in network namespaces of its own; nothing appears in the machine's own network. Needs
 * root, ip, nft and ethtool. Several laboratories live side by side, in one process or in many.
 */
export async function buildLab(topology: Topology): Promise<Lab> {
  const name = `cs${process.pid}-${++built}`;
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  const fabric = `${name}-fabric`;
  const hosts = new Map<string, LabHost>();
  for (const [hostName, spec] of Object.entries(topology.hosts)) {
    const own = join(directory, hostName);
    mkdirSync(own);
    hosts.set(hostName, new LabHost(hostName, `${name}-${hostName}`, spec, own));
  }
  const namespaces = [fabric, ...[...hosts.values()].map((host) => host.namespace)];
  const watchdog = await Watchdog.start(directory, namespaces);
  const lab = new Lab(topology, name, directory, hosts, watchdog);
  try {
    await ipBatch(namespaces.map((namespace) => `netns add ${namespace}`));
    for (const namespace of namespaces) prepareKernel(namespace);
    await ipBatch(fabricLines(hosts, fabric), fabric);
    for (const host of hosts.values()) await configure(host, topology);
  } catch (error) {
    await lab.close();
    throw error;
  }
  return lab;
}

/** What must be settled before the first interface appears. */
function prepareKernel(namespace: string): void {
  insideNamespace(namespace, () => {
    for (const scope of ['all', 'default']) {
      writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/rp_filter`, '0');
      // Duplicate address detection and multicast listener reports would stand in every capture.
      writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1');
    }
  });
}

/** One bridge for each segment, and one cable from it to each interface. */
function fabricLines(hosts: ReadonlyMap<string, LabHost>, fabric: string): string[] {
  const bridges = new Map<string, string>();
  const lines: string[] = [];
  let cables = 0;
  for (const { namespace, spec } of hosts.values()) {
    for (const { name, segment, mac, mtu } of spec.interfaces) {
      let bridge = bridges.get(segment);
      if (bridge === undefined) {
        bridge = `br${bridges.size}`;
        bridges.set(segment, bridge);
        lines.push(`link add ${bridge} type bridge mcast_snooping 0`, `link set ${bridge} up`);
      }
      const port = `port${cables++}`;
      const address = mac ? `address ${mac}` : '';
      lines.push(
        `link add ${port} netns ${fabric} type veth peer name ${name} ${address} netns ${namespace}`,
        `link set ${port} ${mtu ? `mtu ${mtu}` : ''} master ${bridge} up`,
      );
    }
  }
  return lines;
}

async function configure(host: LabHost, topology: Topology): Promise<void> {
  const { spec, namespace } = host;
  insideNamespace(namespace, () => switchIpv6On(spec));
  await ipBatch(hostLines(spec), namespace);
  insideNamespace(namespace, () => {
    if (spec.forwarding) writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    for (const { name } of spec.interfaces) {
      // With offload a veth hands over packets whose checksums nobody computed; a real card does not.
      const features = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
      const { status, error, stderr } = spawnSync('ethtool', ['-K', name, ...features], { encoding: 'utf8' });
      if (status !== 0) throw new LabError(`ethtool -K ${name} failed: ${error?.message ?? stderr}`);
    }
  });
  const rules = forwardingRules(host, topology);
  if (rules !== undefined) await host.run('nft', ['-f', '-'], { input: rules });
}

/** Where an address asks for it, and without asking whether somebody else has it. */
function switchIpv6On(spec: HostSpec): void {
  const settings = '/proc/sys/net/ipv6/conf';
  const cards = spec.interfaces.filter(hasIpv6);
  for (const name of cards.length > 0 ? ['lo', ...cards.map((card) => card.name)] : []) {
    // A router asks for neighbours from its link-local address; whatever else has one may speak from it by chance.
    if (!spec.forwarding) writeFileSync(`${settings}/${name}/addr_gen_mode`, '1');
    writeFileSync(`${settings}/${name}/accept_dad`, '0');
    writeFileSync(`${settings}/${name}/accept_ra`, '0');
    writeFileSync(`${settings}/${name}/disable_ipv6`, '0');
  }
  if (cards.length > 0 && spec.forwarding) writeFileSync(`${settings}/all/forwarding`, '1');
}

function hasIpv6({ addresses }: InterfaceSpec): boolean {
  return addresses.some((address) => address.includes(':'));
}

function hostLines(spec: HostSpec): string[] {
  const lines = ['link set lo up'];
  for (const address of spec.loopback ?? []) lines.push(`address add ${address}/32 dev lo`);
  for (const { name, addresses, mtu } of spec.interfaces) {
    for (const address of addresses) {
      lines.push(`address add ${address} ${address.includes(':') ? 'nodad' : 'broadcast +'} dev ${name}`);
    }
    lines.push(`link set ${name} ${mtu ? `mtu ${mtu}` : ''} up`);
  }
  for (const route of spec.routes ?? []) lines.push(routeLine(route));
  for (const { from, table } of spec.rules ?? []) {
    lines.push(`${from.includes(':') ? '-6 ' : ''}rule add from ${from} table ${table}`);
  }
  return lines;
}

function routeLine({ to, via, device, table }: RouteSpec): string {
  const words = ['route add', to];
  if (via !== undefined) words.push('via', via);
  if (device !== undefined) words.push('dev', device);
  if (table !== undefined) words.push('table', String(table));
  return words.join(' ');
}

function forwardingRules(host: LabHost, topology: Topology): string | undefined {
  const { forwarding, interfaces } = host.spec;
  if (!forwarding) return undefined;
  if (forwarding.kind === 'home') return homeRouterRules(forwarding);
  const outside = interfaces.find(({ name }) => name === forwarding.outside);
  const ownAddress = outside?.addresses[0]?.split('/')[0];
  if (ownAddress === undefined)
    throw new LabError(`${host.name}: no address on its outside ${forwarding.outside}`);
  const metadata = topology.metadata?.host === host.name ? topology.metadata : undefined;
  return cloudRouterRules(forwarding, ownAddress, metadata);
}

async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  const where = namespace === undefined ? [] : ['-n', namespace];
  await runProgram('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
