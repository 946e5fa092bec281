import { getSystemErrorName } from 'node:util';
import { type Endpoint, familyOf, unbracket } from '../../net/address.ts';
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DONT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_PMTUDISC_DONT,
  IPV6_V6ONLY,
  type Libc,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../../net/libc.ts';
import { familyAndPort, portOf, SOCKADDR_LENGTH, sockaddrWords } from '../../net/sockaddr.ts';
import { bindError, notAnAddress } from './transport-error.ts';

/** What a queue of SIP may hold while the process is busy: some 3,000 messages of the kernel's reckoning. */
export const RECEIVE_BUFFER_BYTES: number = 8 * 1024 * 1024;
export const SEND_BUFFER_BYTES: number = 4 * 1024 * 1024;
/** How long a call waits that is willing to. */
export const RECEIVE_WAIT_MS = 10;

/** `EAGAIN` and the like, for the errno of the last call. */
export function errnoName(libc: Libc): string {
  return getSystemErrorName(-libc.errno());
}

/**
 * A UDP socket bound to `endpoint`, with large buffers, which waits only where it is not told MSG_DONTWAIT, and then
 * not for long. It never sets DF: a response that is longer than the path's MTU is fragmented instead of vanishing
 * where ICMP is filtered (RFC 3261 18.1.1).
 * Throws TransportError.
 */
export function openUdpSocket(libc: Libc, endpoint: Endpoint): { fd: number; port: number } {
  const family = familyOf(endpoint.address);
  const words = family && sockaddrWords(family, unbracket(endpoint.address));
  if (!family || !words) throw notAnAddress(endpoint);
  const scratch = new Int32Array(new ArrayBuffer(1024));
  const address = libc.addressOf(new Uint8Array(scratch.buffer));
  const fd = libc.socket(family === 'ipv4' ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw bindError(endpoint, errnoName(libc));
  const set = (level: number, name: number, value: number): boolean => {
    scratch[0] = value;
    return libc.setsockopt(fd, level, name, address, 4) === 0;
  };
  // A struct timeval: seconds, microseconds.
  scratch.set([0, 0, RECEIVE_WAIT_MS * 1000, 0]);
  if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, address, 16) !== 0) {
    const code = errnoName(libc);
    libc.close(fd);
    throw bindError(endpoint, code);
  }
  // The first passes the limit of net.core.rmem_max and wants CAP_NET_ADMIN; the second is cut to it.
  if (!set(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES))
    set(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  if (!set(SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES)) set(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
  if (family === 'ipv4') {
    set(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
    // Else :: would take 0.0.0.0 as well, and IPv4 sources would wear IPv6 addresses.
    set(IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  scratch.set(words);
  scratch[0] = familyAndPort(family, endpoint.port);
  const length = SOCKADDR_LENGTH[family];
  if (libc.bind(fd, address, length) !== 0) {
    const code = errnoName(libc);
    libc.close(fd);
    throw bindError(endpoint, code);
  }
  scratch[8] = length;
  libc.getsockname(fd, address, address + 32);
  return { fd, port: portOf(scratch[0]!) };
}
