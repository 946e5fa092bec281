import { endianness } from 'node:os';
import { type Endpoint, familyOf, ipv4Number, normalizeHost } from '../net/address.ts';

/** Linux `sa_family_t`, the same on every architecture. */
const afInet = 2;
const afInet6 = 10;
const little: boolean = endianness() === 'LE';

/** Bytes of the longest socket address that is used, `struct sockaddr_in6`, rounded up. */
export const sockaddrBytes = 32;

/** Writes `struct sockaddr_in` or `sockaddr_in6` at `at`; gives its length. The address has no zone. */
export function writeSockaddr(view: DataView, at: number, endpoint: Endpoint): number {
  eraseSockaddr(view, at);
  view.setUint16(at + 2, endpoint.port);
  const v4 = ipv4Number(endpoint.address);
  if (v4 !== undefined) {
    view.setUint16(at, afInet, little);
    view.setUint32(at + 4, v4);
    return 16;
  }
  if (familyOf(endpoint.address) === undefined) throw new TypeError(`not an IP address: ${endpoint.address}`);
  view.setUint16(at, afInet6, little);
  const [head = '', tail] = normalizeHost(endpoint.address).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  left.forEach((group, i) => {
    view.setUint16(at + 8 + 2 * i, Number.parseInt(group, 16));
  });
  right.forEach((group, i) => {
    view.setUint16(at + 8 + 2 * (8 - right.length + i), Number.parseInt(group, 16));
  });
  return 28;
}

export function eraseSockaddr(view: DataView, at: number): void {
  for (let i = 0; i < sockaddrBytes; i += 4) view.setUint32(at + i, 0);
}

/** Reads what `writeSockaddr` wrote, or the kernel; undefined where there is nothing. */
export function readSockaddr(view: DataView, at: number): Endpoint | undefined {
  const family = view.getUint16(at, little);
  const port = view.getUint16(at + 2);
  if (family === afInet) {
    const bytes = [0, 1, 2, 3].map((i) => view.getUint8(at + 4 + i));
    return { address: bytes.join('.'), port };
  }
  if (family !== afInet6) return undefined;
  const groups = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => view.getUint16(at + 8 + 2 * i).toString(16));
  return { address: normalizeHost(groups.join(':')), port };
}
