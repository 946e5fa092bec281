import type { Provenance, Topology } from '../discovery/topology.ts';
import { bracket, formatEndpoint, isUnspecified, normalizeHost } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { Listener } from '../net/listener.ts';
import { columns } from './columns.ts';
import { harmlessInLine } from './harmless.ts';

/** What is known once the agent serves. */
export interface Status {
  readonly version: string;
  readonly listeners: readonly Listener[];
  readonly topology: Topology;
  /** SIP domains of the configuration. */
  readonly domains: readonly string[];
  /** From the start of the process to the first request that could be answered. */
  readonly readyAfterMs: number;
}

/** An account made at the first start. */
export interface NewAccount {
  readonly name: string;
  readonly password: string;
}

/** One line of the table, in words. */
export interface ListenerRow {
  readonly transport: string;
  readonly bound: string;
  readonly advertised: string;
  /** The operating system's name of the interface. */
  readonly interface: string;
  /** Where the advertised address was learned. */
  readonly learned: string;
}

export const provenanceText: Readonly<Record<Provenance, string>> = {
  imds: 'instance metadata',
  api: 'cloud API',
  config: 'configuration',
  stun: 'STUN',
  os: 'operating system',
};

export function listenerRows(listeners: readonly Listener[], topology: Topology): ListenerRow[] {
  return listeners.map((listener) => {
    const { transport, bound, advertised } = listener;
    const shown = advertised && normalizeHost(advertised.address);
    const own = normalizeHost(bound.address);
    for (const nic of topology.interfaces) {
      for (const { privateAddress, publicAddress, provenance } of nic.addresses) {
        const mapped = publicAddress === undefined ? undefined : normalizeHost(publicAddress);
        const isOwn = normalizeHost(privateAddress) === own;
        // A listener on every address is seen at the interface whose public address it advertises.
        if (!isOwn && !(isUnspecified(own) && shown !== undefined && shown === mapped)) continue;
        // What discovery did not find was written by a person.
        const learned = shown === undefined || shown === mapped ? provenance : 'config';
        return row(transport, listener, nic.osName ?? nic.id ?? nic.mac, learned);
      }
    }
    return row(transport, listener, '-', shown === undefined ? 'os' : 'config');
  });
}

function row(
  transport: string,
  { bound, advertised }: Listener,
  nic: string,
  learned: Provenance,
): ListenerRow {
  return {
    transport,
    bound: formatEndpoint(bound),
    advertised: advertised ? formatEndpoint(advertised) : '-',
    interface: nic,
    learned: provenanceText[learned],
  };
}

/** A place to write into a phone as its server, with the transports that serve there. */
export interface Server {
  readonly endpoint: string;
  readonly transports: readonly string[];
  /** The address of record that an account called NAME has there. */
  readonly addressOfRecord: string;
}

/**
 * The servers that clients reach, the likeliest first: what each listener advertises or, where it advertises
 * nothing, its bound address.
 */
export function servers({ listeners, domains }: Pick<Status, 'listeners' | 'domains'>): Server[] {
  const known = new Map<string, { host: string; transports: Set<string> }>();
  for (const { transport, bound, advertised } of [...listeners].sort((a, b) => rank(a) - rank(b))) {
    const endpoint = advertised ?? bound;
    if (isUnspecified(endpoint.address)) continue;
    const key = formatEndpoint(endpoint);
    const entry = known.get(key) ?? { host: bracket(endpoint.address), transports: new Set() };
    known.set(key, { ...entry, transports: entry.transports.add(transport) });
  }
  const domain = domains.find((name) => !name.startsWith('*'));
  return [...known].map(([endpoint, { host, transports }]) => ({
    endpoint,
    transports: [...transports],
    addressOfRecord: `sip:NAME@${domain ?? host}`,
  }));
}

/** What a person reads at the start, with a line break at the end. */
export function statusTable(status: Status, accounts: readonly NewAccount[] = []): string {
  const { version, topology, readyAfterMs } = status;
  const reached = servers(status);
  const name = accounts[0]?.name ?? 'alice';
  const addresses = [...new Set(reached.map((server) => server.addressOfRecord.replace('NAME', name)))];
  const lines = [
    `cloudsip ${version} on ${topology.provider}, ready after ${Math.round(readyAfterMs)} ms`,
    '',
    ...columns([
      ['transport', 'bound', 'advertised', 'interface', 'learned from'],
      ...listenerRows(status.listeners, topology).map((each) => [
        each.transport,
        each.bound,
        each.advertised,
        each.interface,
        each.learned,
      ]),
    ]),
    '',
    `Reach it as:    ${addresses.join(', ') || 'no address is known'}`,
    `Local networks: ${localNetworksText(topology)}`,
  ].map(harmlessInLine);
  if (accounts.length === 0)
    return [...lines, "Accounts:       'cloudsip user list' shows them", ''].join('\n');
  const [server] = reached;
  return [
    ...lines,
    '',
    "First start: these accounts were made. They are shown here once; 'cloudsip user list' shows them again.",
    '',
    ...columns([
      ['name', 'password', 'server', 'transport'],
      ...accounts.map((account) => [
        account.name,
        account.password,
        server?.endpoint ?? '-',
        server?.transports.join(', ') ?? '-',
      ]),
    ]),
    '',
  ].join('\n');
}

export function localNetworksText({ localNetworks }: Topology): string {
  return localNetworks.length > 0 ? `${localNetworks.join(', ')} (told the bound address)` : 'none';
}

/** Advertised before bound before what only this machine and its link reach; of equals IPv4 first, for many phones have nothing else. */
function rank({ bound, advertised }: Listener): number {
  const { address } = advertised ?? bound;
  const reach = advertised ? 0 : /^(loopback|link-local)$/.test(scopeOf(address)) ? 4 : 2;
  return reach + (address.includes(':') ? 1 : 0);
}
