import { randomBytes } from 'node:crypto';
import type { Identity } from '../identity/identity.ts';
import type { Endpoint } from '../net/address.ts';
import { scopeOf } from '../net/address-scope.ts';
import type { Clock } from '../net/clock.ts';
import { type Listener, listenerKey } from '../net/listener.ts';
import type { TransactionLayer } from '../sip/transaction/transaction-layer.ts';
import type { Resolver } from '../sip/transport/resolver.ts';
import type { Transport } from '../sip/transport/transport.ts';
import type { CallCount } from './call-count.ts';
import type { DialogCookies } from './dialog-cookie.ts';
import type { MediaAnchor } from './media-anchor.ts';

/** The log calls of the proxy; pino satisfies it. */
export interface ProxyLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** What forwarding needs of the house. */
export interface Forwarding {
  readonly clock: Clock;
  readonly log: ProxyLog;
  readonly identity: Identity;
  readonly layer: TransactionLayer;
  readonly resolver: Resolver;
  readonly cookies: DialogCookies;
  /** Undefined where media is not relayed. */
  readonly media: MediaAnchor | undefined;
  /** Counts the calls where no media tells; undefined where it does. */
  readonly calls?: CallCount | undefined;
  /** The open transport of a listener; undefined where it was retired. */
  transportOf(listener: Listener): Transport | undefined;
  readonly counters: ProxyCounters;
}

export interface ProxyCounters {
  requests: number;
  refused: number;
  unauthorized: number;
  forwarded: number;
  strayAcks: number;
}

/** The transport that a request leaves by, and the identity that it carries. */
export interface Egress {
  readonly transport: Transport;
  readonly listener: Listener;
  readonly sentBy: { readonly host: string; readonly port: number };
}

/**
 * Chooses the socket and then the identity for one destination. A forced listener wins where it is still open
 * and of the destination's family; else the one that faces the destination.
 */
export function egressTo(
  forwarding: Forwarding,
  destination: Endpoint,
  receivedOn: Listener,
  forced: Listener | undefined,
): Egress | undefined {
  const { identity } = forwarding;
  const wantsIpv6 = destination.address.includes(':');
  let listener = forced;
  let transport = listener && forwarding.transportOf(listener);
  if (!listener || !transport || listener.bound.address.includes(':') !== wantsIpv6) {
    listener = identity.listenerFor(receivedOn, destination.address);
    transport = forwarding.transportOf(listener);
    if (!transport || listener.bound.address.includes(':') !== wantsIpv6) return undefined;
  } else if (identity.hasHeirs && !identity.isLocal(destination.address)) {
    // Whoever is reached by this socket because it was seen there: its public address may have moved since.
    const heir = identity.heirOf(listenerKey(listener));
    const way = heir && forwarding.transportOf(heir);
    if (heir && way) [listener, transport] = [heir, way];
  }
  // The machine itself and its link, the metadata service among them, are reached only from a listener there:
  // no Request-URI, Contact or DNS answer of a stranger, or of a user, makes us talk to them.
  const { address } = destination;
  if (staysHere(address) && scopeOf(address) !== scopeOf(listener.bound.address)) return undefined;
  return { transport, listener, sentBy: identity.towards(listener, address) };
}

/** Quick for the many that do not: the prefixes of loopback and link-local addresses (RFC 1122, 3927, 4291). */
function staysHere(address: string): boolean {
  return (
    address.startsWith('127.') ||
    address.startsWith('169.254.') ||
    address.startsWith('fe') ||
    address === '::1'
  );
}

const branchSeed = randomBytes(6).toString('hex');
let branchCount = 0;

/** A Via branch that nobody had before: magic cookie, seed, counter, and the loop hash behind a dot. */
export function newBranch(loopHash: string): string {
  branchCount++;
  return `z9hG4bK${branchSeed}x${branchCount}.${loopHash}`;
}
