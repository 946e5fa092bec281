import { AF_INET, type Libc } from '../../net/libc.ts';
import { messageType, Netlink, netlinkAttribute, netlinkAttributes } from '../../net/netlink.ts';

/** The way from an address of this machine to another one. */
export interface Route {
  readonly ifindex: number;
  readonly interfaceName: string;
  /** The gateway, or the destination itself: 4 or 16 bytes. */
  readonly nextHop: Uint8Array;
  readonly mtu: number;
  readonly sourceMac: Uint8Array;
  /** Where the kernel has to be told, since it does not look itself. */
  readonly destinationMac: Uint8Array | undefined;
}

/** The beginning of each message's body before its attributes: struct rtmsg, ifinfomsg, ndmsg. */
const routeBytes = 12;
const linkBytes = 16;
const neighbourBytes = 12;

const attribute = {
  routeDestination: 1,
  routeSource: 2,
  routeInterface: 4,
  routeGateway: 5,
  routeMetrics: 8,
  routeVia: 18,
  metricMtu: 2,
  linkAddress: 1,
  linkName: 3,
  linkMtu: 4,
  neighbourDestination: 1,
  neighbourAddress: 2,
} as const;

const unicast = 1;
const ethernet = 1;
const flagUp = 1;
/** NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT: states in which the address is known. */
const knownStates = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;
const macBytes = 6;

interface Link {
  readonly name: string;
  readonly mtu: number;
  readonly mac: Uint8Array;
}

/** Asks the kernel which way packets go, by its policy rules and tables. */
export class Routes {
  readonly #netlink: Netlink;
  readonly #needsMac: boolean;

  /** `fd` is a socket of `openNetlink`; `needsMac` where the way must be known down to the next hop's address. */
  constructor(libc: Libc, fd: number, needsMac: boolean) {
    this.#netlink = new Netlink(libc, fd);
    this.#needsMac = needsMac;
  }

  /**
   * From and to are addresses as on the wire. Undefined where packets do not leave by Ethernet: there is no
   * route, the destination is this machine, the interface is down or something else, the next hop is unknown yet.
   */
  find(family: number, from: Uint8Array, to: Uint8Array): Route | undefined {
    const header = Buffer.alloc(routeBytes);
    header.set([family, to.length * 8, from.length * 8]);
    const answer = this.#netlink.ask(
      messageType.getRoute,
      header,
      netlinkAttribute(attribute.routeDestination, to),
      netlinkAttribute(attribute.routeSource, from),
    );
    if (typeof answer === 'number' || answer.body[7] !== unicast) return undefined;
    const attributes = netlinkAttributes(answer.body, routeBytes);
    const ifindex = attributes.get(attribute.routeInterface)?.readUInt32LE(0);
    // The next hop of the other family: the kernel itself can take that way.
    if (ifindex === undefined || attributes.has(attribute.routeVia)) return undefined;
    const gateway = attributes.get(attribute.routeGateway);
    const nextHop = gateway ? Uint8Array.from(gateway) : to.slice();
    const metrics = attributes.get(attribute.routeMetrics);
    const pathMtu = metrics && netlinkAttributes(metrics, 0).get(attribute.metricMtu)?.readUInt32LE(0);
    const link = this.#link(ifindex);
    if (!link) return undefined;
    const destinationMac = this.#needsMac ? this.#mac(family, ifindex, nextHop) : undefined;
    if (this.#needsMac && !destinationMac) return undefined;
    const mtu = Math.min(link.mtu, pathMtu || link.mtu, 0xffff);
    return { ifindex, interfaceName: link.name, nextHop, mtu, sourceMac: link.mac, destinationMac };
  }

  #link(ifindex: number): Link | undefined {
    const header = Buffer.alloc(linkBytes);
    header.writeInt32LE(ifindex, 4);
    const answer = this.#netlink.ask(messageType.getLink, header);
    if (typeof answer === 'number' || answer.body.readUInt16LE(2) !== ethernet) return undefined;
    if ((answer.body.readUInt32LE(8) & flagUp) === 0) return undefined;
    const attributes = netlinkAttributes(answer.body, linkBytes);
    const mac = attributes.get(attribute.linkAddress);
    const mtu = attributes.get(attribute.linkMtu)?.readUInt32LE(0);
    if (mac?.length !== macBytes || !mtu) return undefined;
    const name = attributes.get(attribute.linkName)?.toString('latin1').replace(/\0.*$/s, '') ?? '';
    return { name, mtu, mac: Uint8Array.from(mac) };
  }

  #mac(family: number, ifindex: number, nextHop: Uint8Array): Uint8Array | undefined {
    const header = Buffer.alloc(neighbourBytes);
    header[0] = family;
    header.writeInt32LE(ifindex, 4);
    const destination = netlinkAttribute(attribute.neighbourDestination, nextHop);
    const answer = this.#netlink.ask(messageType.getNeighbour, header, destination);
    if (typeof answer === 'number' || (answer.body.readUInt16LE(8) & knownStates) === 0) return undefined;
    const mac = netlinkAttributes(answer.body, neighbourBytes).get(attribute.neighbourAddress);
    return mac?.length === macBytes ? Uint8Array.from(mac) : undefined;
  }
}

/** True where the two lead packets the same way. */
export function sameRoute(a: Route | undefined, b: Route | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.ifindex === b.ifindex &&
    a.mtu === b.mtu &&
    Buffer.compare(a.nextHop, b.nextHop) === 0 &&
    Buffer.compare(a.sourceMac, b.sourceMac) === 0 &&
    Buffer.compare(a.destinationMac ?? a.sourceMac, b.destinationMac ?? b.sourceMac) === 0
  );
}

/** The bytes of an IP address in a `sockaddr`. */
export function addressBytes(sockaddr: Uint8Array, family: number): Uint8Array {
  return family === AF_INET ? sockaddr.subarray(4, 8) : sockaddr.subarray(8, 24);
}
