import { type Endpoint, type Family, familyOf, isUnspecified, normalizeHost } from '../../net/address.ts';
import { type Clock, systemClock } from '../../net/clock.ts';
import type { TransportName } from '../../net/listener.ts';
import { paramValue } from '../message/params.ts';
import type { SipUri } from '../message/uri.ts';
import { DnsClient, type DnsOptions, type NaptrRecord } from './dns-client.ts';
import { type Hosts, readHostsFile } from './hosts-file.ts';
import { ResolveError } from './resolve-error.ts';
import { orderSrv } from './srv-order.ts';

/** Where to send, and over what. */
export interface ResolvedTarget extends Endpoint {
  readonly transport: TransportName;
}

/** What of a URI decides where a request goes; a SipUri is one. */
export type Locatable = Pick<SipUri, 'scheme' | 'host' | 'port' | 'params'>;

/** Finds the addresses behind a SIP URI, as a client does (RFC 3263 4). */
export interface Resolver {
  /** The targets where no question to DNS is needed: numeric hosts, and names in the hosts file. */
  resolveNow(uri: Locatable): readonly ResolvedTarget[] | undefined;
  /** The targets in the order in which to try them, one at least. Rejects with ResolveError. */
  resolve(uri: Locatable): Promise<readonly ResolvedTarget[]>;
  close(): void;
}

export interface ResolverOptions extends Partial<DnsOptions> {
  /** What can be spoken now, best first. */
  readonly transports?: readonly TransportName[];
  /** The families that can be reached now, the preferred one first; asked anew for each URI. */
  readonly families?: () => readonly Family[];
  readonly hosts?: Hosts;
  /** Numbers in [0, 1), for the weights of SRV. */
  readonly random?: () => number;
}

/** RFC 3263 4.1 and 7; RFC 7118 5. */
const SERVICES: Record<TransportName, { naptr: string; srv: string | undefined; port: number }> = {
  udp: { naptr: 'SIP+D2U', srv: '_sip._udp', port: 5060 },
  tcp: { naptr: 'SIP+D2T', srv: '_sip._tcp', port: 5060 },
  tls: { naptr: 'SIPS+D2T', srv: '_sips._tcp', port: 5061 },
  ws: { naptr: 'SIP+D2W', srv: undefined, port: 80 },
  wss: { naptr: 'SIPS+D2W', srv: undefined, port: 443 },
};

/** More than a transaction has time to try. */
const MAX_TARGETS = 10;

export function createResolver(options: ResolverOptions = {}): Resolver {
  const clock: Clock = options.clock ?? systemClock;
  const dns = new DnsClient({ ...options, clock });
  const transports = options.transports ?? ['udp'];
  const families = options.families ?? ((): readonly Family[] => ['ipv4', 'ipv6']);
  const hosts = options.hosts ?? readHostsFile();
  const random = options.random ?? Math.random;

  function resolveNow(uri: Locatable): readonly ResolvedTarget[] | undefined {
    const name = targetName(uri);
    const transport = chosenTransport(uri) ?? defaultTransport(uri);
    if (!transports.includes(transport)) return undefined;
    const port = uri.port || SERVICES[transport].port;
    if (familyOf(name)) return [{ transport, address: name, port }];
    // The administrator's word counts before that of DNS, as in nsswitch.conf.
    const local = hosts.get(name)?.filter((address) => families().includes(familyOf(address)!));
    if (!local || local.length === 0) return undefined;
    return local.slice(0, MAX_TARGETS).map((address) => ({ transport, address, port }));
  }

  async function resolve(uri: Locatable): Promise<readonly ResolvedTarget[]> {
    const now = resolveNow(uri);
    if (now) return now;
    const name = targetName(uri);
    const chosen = chosenTransport(uri);
    const wanted = chosen ?? defaultTransport(uri);
    if ((chosen || uri.port || familyOf(name)) && !transports.includes(wanted)) throw notSpoken(uri, wanted);
    // RFC 3263 4.2: with a port there are only addresses to look for; with a transport, one SRV as well.
    const found = uri.port
      ? await addressTargets(name, wanted, uri.port)
      : chosen
        ? await srvOrAddresses(name, [chosen])
        : await discover(uri, name);
    const targets = firstOfEach(found);
    if (targets.length > 0) return targets;
    throw new ResolveError(
      'RESOLVE_NOT_FOUND',
      `DNS knows no address of "${name}" for SIP over ${transports.join(', ')} (${families().join(', ')}).`,
    );
  }

  /** RFC 3263 4.1: neither transport nor port is given, so the domain says what it prefers. */
  async function discover(uri: Locatable, name: string): Promise<ResolvedTarget[]> {
    const candidates = transports.filter((transport) => uri.scheme !== 'sips' || isSecure(transport));
    if (candidates.length === 0) throw notSpoken(uri, 'tls');
    // A server that cannot answer for NAPTR, as old ones, has nothing to say about preferences.
    const naptr = await dns.naptr(name).catch((): NaptrRecord[] => []);
    for (const record of [...naptr].sort((a, b) => a.order - b.order || a.preference - b.preference)) {
      const transport = candidates.find((each) => SERVICES[each].naptr === record.service.toUpperCase());
      if (!transport || record.flags.toLowerCase() !== 's') continue;
      const targets = await srvTargets(record.replacement, transport);
      if (targets && targets.length > 0) return targets;
    }
    return srvOrAddresses(name, candidates);
  }

  async function srvOrAddresses(
    name: string,
    candidates: readonly TransportName[],
  ): Promise<ResolvedTarget[]> {
    for (const transport of candidates) {
      const { srv } = SERVICES[transport];
      const targets = srv && (await srvTargets(`${srv}.${name}`, transport));
      // An SRV that leads nowhere still is the domain's answer: its bare addresses are not asked then.
      if (targets) return targets;
    }
    const [transport] = candidates;
    return addressTargets(name, transport!, SERVICES[transport!].port);
  }

  /** Undefined where there is no such record at all. */
  async function srvTargets(name: string, transport: TransportName): Promise<ResolvedTarget[] | undefined> {
    const records = await dns.srv(name);
    if (records.length === 0) return undefined;
    const servers = orderSrv(records, random)
      // RFC 2782: the target "." says that the service is decidedly not there.
      .filter((record) => record.port > 0 && normalizeHost(record.name) !== '')
      .slice(0, MAX_TARGETS);
    const found = await Promise.allSettled(
      servers.map((server) => addressTargets(normalizeHost(server.name), transport, server.port)),
    );
    const failed = found.find((result) => result.status === 'rejected');
    const targets = found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    if (targets.length === 0 && failed) throw failed.reason;
    return targets;
  }

  async function addressTargets(
    name: string,
    transport: TransportName,
    port: number,
  ): Promise<ResolvedTarget[]> {
    const local = hosts.get(name);
    const found = await Promise.allSettled(
      families().map(async (family) =>
        local ? local.filter((address) => familyOf(address) === family) : dns.addresses(family, name),
      ),
    );
    const addresses = found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const failed = found.find((result) => result.status === 'rejected');
    if (addresses.length === 0 && failed) throw failed.reason;
    // 0.0.0.0 and :: would lead to ourselves.
    return addresses
      .filter((address) => !isUnspecified(address))
      .map((address) => ({ transport, address: normalizeHost(address), port }));
  }

  function notSpoken(uri: Locatable, wanted: string): ResolveError {
    return new ResolveError(
      'RESOLVE_TRANSPORT',
      `${uri.scheme}:${uri.host} wants ${wanted}, spoken here is ${transports.join(', ')}.`,
    );
  }

  return { resolveNow, resolve, close: () => dns.close() };
}

/** RFC 3263 4: the maddr parameter where there is one, else the host. */
function targetName(uri: Locatable): string {
  const maddr = uri.params === '' ? undefined : paramValue(uri.params, 'maddr');
  return normalizeHost(maddr ? maddr : uri.host);
}

/** The transport that the URI names. For sips it is TLS whatever is named, WebSocket apart (RFC 3261 26.2.2). */
function chosenTransport(uri: Locatable): TransportName | undefined {
  const named = uri.params === '' ? undefined : paramValue(uri.params, 'transport')?.toLowerCase();
  if (!named) return undefined;
  if (uri.scheme === 'sips') return named.startsWith('ws') ? 'wss' : 'tls';
  // What is not known is not spoken either; the error then names it.
  return named as TransportName;
}

function defaultTransport(uri: Locatable): TransportName {
  return uri.scheme === 'sips' ? 'tls' : 'udp';
}

function isSecure(transport: TransportName): boolean {
  return transport === 'tls' || transport === 'wss';
}

function firstOfEach(targets: readonly ResolvedTarget[]): ResolvedTarget[] {
  const seen = new Map<string, ResolvedTarget>();
  for (const target of targets) {
    const key = `${target.transport} ${target.address} ${target.port}`;
    if (seen.size < MAX_TARGETS && !seen.has(key)) seen.set(key, target);
  }
  return [...seen.values()];
}
