import { familyOf } from '../net/address.ts';
import { errorName, type Libc } from '../net/libc.ts';
import type { ForwarderData } from './forwarder-protocol.ts';
import type { ForwarderKind } from './media-contract.ts';
import { probe } from './probe-socket.ts';
import { sockaddrBytes, writeSockaddr } from './sockaddr.ts';
import { setTrafficClass, tellTrafficClass } from './traffic-class.ts';

export type ForwarderDescriptors = Pick<ForwarderData, 'epollFd' | 'wakeFd' | 'kernel'>;

/**
 * Where the main thread gets UDP sockets for the forwarder. Binding is done here and at once, so that a port
 * that somebody else holds is known before it stands in an offer.
 */
export interface SocketSource {
  readonly kind: 'koffi' | 'dgram';
  readonly forwarder: ForwarderKind;
  /**
   * The descriptor of the bound socket (-1 where the forwarder has to bind it itself), or an error name. `dscp` is what
   * its packets leave with; 0 for what they came with.
   */
  bind(address: string, port: number, dscp: number): number | string;
  close(fd: number): void;
  /** Descriptors for a forwarder that is about to start; those of the one before are closed. */
  attach(): ForwarderDescriptors;
  /** Tells the forwarder that commands wait. */
  wake(): void;
  detach(): void;
}

/** node:dgram sockets cannot cross threads: the port is only tried, and bound by the forwarder a moment later. */
export const probingSource: SocketSource = {
  kind: 'dgram',
  forwarder: 'dgram',
  bind: (address, port) => probe(address, port) ?? -1,
  close: () => {},
  attach: () => ({ epollFd: -1, wakeFd: -1 }),
  wake: () => {},
  detach: () => {},
};

const sockDgram = 2;
const sockNonBlock = 0o4000;
const sockCloexec = 0o2000000;
const ipprotoIpv6 = 41;
const ipv6V6only = 26;
const afInet = 2;
const afInet6 = 10;

/** Sockets by system call. Their descriptors stay with the main thread; the forwarder only borrows them. */
export function systemCallSource(libc: Libc): SocketSource {
  const arena = new DataView(new ArrayBuffer(64));
  const address = libc.addressOf(new Uint8Array(arena.buffer));
  let epollFd = -1;
  let wakeFd = -1;

  const detach = (): void => {
    if (epollFd >= 0) libc.close(epollFd);
    if (wakeFd >= 0) libc.close(wakeFd);
    epollFd = -1;
    wakeFd = -1;
  };
  const failed = (fd: number): string => {
    const error = errorName(libc);
    if (fd >= 0) libc.close(fd);
    return error;
  };
  return {
    kind: 'koffi',
    forwarder: 'koffi',
    bind: (host, port, dscp) => {
      const v6 = familyOf(host) === 'ipv6';
      const fd = libc.socket(v6 ? afInet6 : afInet, sockDgram | sockNonBlock | sockCloexec, 0);
      if (fd < 0) return failed(fd);
      if (v6) {
        // Else [::]:port would take IPv4 too and collide with a relay socket of that family.
        arena.setInt32(sockaddrBytes, 1, true);
        if (libc.setsockopt(fd, ipprotoIpv6, ipv6V6only, address + sockaddrBytes, 4) < 0) return failed(fd);
      }
      arena.setInt32(sockaddrBytes, 1, true);
      tellTrafficClass(libc, fd, v6, address + sockaddrBytes);
      arena.setInt32(sockaddrBytes, dscp << 2, true);
      if (dscp !== 0) setTrafficClass(libc, fd, v6, address + sockaddrBytes);
      const length = writeSockaddr(arena, 0, { address: host, port });
      return libc.bind(fd, address, length) < 0 ? failed(fd) : fd;
    },
    close: (fd) => {
      libc.close(fd);
    },
    attach: () => {
      detach();
      epollFd = libc.epollCreate(sockCloexec);
      wakeFd = libc.eventfd(0, sockNonBlock | sockCloexec);
      if (epollFd < 0 || wakeFd < 0) throw new Error(`epoll_create1 or eventfd: ${errorName(libc)}`);
      return { epollFd, wakeFd };
    },
    wake: () => {
      if (wakeFd >= 0) libc.eventfdWrite(wakeFd, 1);
    },
    detach,
  };
}
