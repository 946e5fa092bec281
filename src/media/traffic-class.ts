import type { Libc } from '../net/libc.ts';

const ipprotoIp = 0;
const ipTos = 1;
const ipRecvTos = 13;
const ipprotoIpv6 = 41;
const ipv6RecvTclass = 66;
const ipv6Tclass = 67;

/**
 * What a socket's packets leave with, of which the upper six bits are the DSCP (RFC 2474 3). `value` is where the int
 * lies. Where it fails packets travel all the same.
 */
export function setTrafficClass(libc: Libc, fd: number, v6: boolean, value: number): void {
  if (v6) libc.setsockopt(fd, ipprotoIpv6, ipv6Tclass, value, 4);
  else libc.setsockopt(fd, ipprotoIp, ipTos, value, 4);
}

/** Whether recvmsg tells what packets came with. */
export function tellTrafficClass(libc: Libc, fd: number, v6: boolean, value: number): void {
  if (v6) libc.setsockopt(fd, ipprotoIpv6, ipv6RecvTclass, value, 4);
  else libc.setsockopt(fd, ipprotoIp, ipRecvTos, value, 4);
}
