import { constants } from 'node:os';
import { type Family, familyOf } from './address.ts';
import { loadLibc } from './libc.ts';
import {
  messageType,
  Netlink,
  NetlinkError,
  netlinkAttribute,
  netlinkAttributes,
  openNetlink,
} from './netlink.ts';
import { addressAt, sockaddrWords } from './sockaddr.ts';

/** The way that the kernel chooses for a packet. */
export interface Route {
  /** Name of the interface by which it leaves. */
  readonly device: string;
  /** The next hop; absent on the link itself. */
  readonly gateway?: string;
  /** Number of the routing table that said so; 254 is `main`. */
  readonly table: number;
}

/** One line of `ip rule`. */
export interface RoutingRule {
  readonly priority: number;
  readonly table: number;
  /** CIDR; absent where the rule is for every source. */
  readonly from?: string;
}

const RTM_F_LOOKUP_TABLE = 0x1000;
const RTA = { destination: 1, source: 2, device: 4, gateway: 5, table: 15 } as const;
const FRA = { source: 2, priority: 6, table: 15 } as const;
const IFLA_IFNAME = 3;
const AF = { ipv4: 2, ipv6: 10 } as const;

/**
 * How a packet from `source`, an address of this machine, to `destination` leaves: the kernel's own decision by
 * all of its rules, nothing is sent. Undefined where it has no route. Throws a `NetlinkError` or `LibcError`.
 */
export function routeFrom(source: string, destination: string): Route | undefined {
  const family = familyOf(destination)!;
  const header = Buffer.alloc(12);
  const width = family === 'ipv4' ? 32 : 128;
  header.set([AF[family], width, width]);
  header.writeUInt32LE(RTM_F_LOOKUP_TABLE, 8);
  return overNetlink((netlink) => {
    const answer = netlink.ask(
      messageType.getRoute,
      header,
      netlinkAttribute(RTA.destination, addressBytes(family, destination)),
      netlinkAttribute(RTA.source, addressBytes(family, source)),
    );
    if (typeof answer === 'number') {
      if (noRoute.has(answer)) return undefined;
      throw new NetlinkError(answer);
    }
    const attributes = netlinkAttributes(answer.body, 12);
    const index = attributes.get(RTA.device)?.readUInt32LE(0);
    if (index === undefined) return undefined;
    const gateway = attributes.get(RTA.gateway);
    return {
      device: linkNames(netlink).get(index) ?? `interface ${index}`,
      ...(gateway && { gateway: addressText(family, gateway) }),
      table: attributes.get(RTA.table)?.readUInt32LE(0) ?? answer.body[4]!,
    };
  });
}

const { ENETUNREACH, EHOSTUNREACH, EINVAL, EACCES } = constants.errno;
/** No route, and routes that say unreachable, blackhole and prohibit. */
const noRoute: ReadonlySet<number> = new Set([ENETUNREACH, EHOSTUNREACH, EINVAL, EACCES]);

/** The rules in the order in which the kernel obeys them. */
export function readRoutingRules(family: Family): RoutingRule[] {
  const header = Buffer.alloc(12);
  header[0] = AF[family];
  const answers = overNetlink((netlink) => netlink.list(messageType.getRule, header));
  const rules = answers.map(({ body }): RoutingRule => {
    const attributes = netlinkAttributes(body, 12);
    const source = attributes.get(FRA.source);
    return {
      priority: attributes.get(FRA.priority)?.readUInt32LE(0) ?? 0,
      table: attributes.get(FRA.table)?.readUInt32LE(0) ?? body[4]!,
      ...(source && { from: `${addressText(family, source)}/${body[2]}` }),
    };
  });
  return rules.sort((a, b) => a.priority - b.priority);
}

function overNetlink<T>(ask: (netlink: Netlink) => T): T {
  const libc = loadLibc();
  const fd = openNetlink(libc, 'questions');
  try {
    return ask(new Netlink(libc, fd));
  } finally {
    libc.close(fd);
  }
}

function linkNames(netlink: Netlink): Map<number, string> {
  return new Map(
    netlink.list(messageType.getLink, Buffer.alloc(16)).map(({ body }) => {
      const name = netlinkAttributes(body, 16).get(IFLA_IFNAME);
      return [body.readInt32LE(4), name?.toString('utf8').replace(/\0.*$/s, '') ?? ''] as const;
    }),
  );
}

function addressBytes(family: Family, address: string): Uint8Array {
  const words = sockaddrWords(family, address);
  if (!words) throw new RangeError(`${address} is not of ${family}`);
  return family === 'ipv4' ? new Uint8Array(words.buffer, 4, 4) : new Uint8Array(words.buffer, 8, 16);
}

function addressText(family: Family, bytes: Uint8Array): string {
  const words = new Int32Array(7);
  new Uint8Array(words.buffer).set(bytes, family === 'ipv4' ? 4 : 8);
  return addressAt(family, words, 0);
}
