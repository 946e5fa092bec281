import type { Endpoint } from '../../net/address.ts';
import { writeSockaddr } from '../sockaddr.ts';

/** LINKTYPE_RAW: each packet begins with its IP header, whose first bits say which IP. */
const linkTypeRaw = 101;
const snapLength = 262_144;
const udp = 17;

/** What a capture file begins with: the classic format of libpcap, microseconds, little-endian. */
export function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapLength, 16);
  header.writeUInt32LE(linkTypeRaw, 20);
  return header;
}

/** A record of one UDP datagram; undefined where the two ends are of different families, or it is too long for IP. */
export function pcapDatagram(
  timeMs: number,
  source: Endpoint,
  destination: Endpoint,
  payload: Uint8Array,
): Buffer | undefined {
  const [from, to] = [addressOf(source), addressOf(destination)];
  if (!from || !to || from.length !== to.length) return undefined;
  const v6 = from.length === 16;
  const ipBytes = v6 ? 40 : 20;
  const udpBytes = 8 + payload.length;
  if (udpBytes + ipBytes > 65_535) return undefined;
  const record = Buffer.alloc(16 + ipBytes + udpBytes);
  const micros = Math.round(timeMs * 1000);
  record.writeUInt32LE(Math.floor(micros / 1_000_000), 0);
  record.writeUInt32LE(micros % 1_000_000, 4);
  record.writeUInt32LE(ipBytes + udpBytes, 8);
  record.writeUInt32LE(ipBytes + udpBytes, 12);
  const ip = record.subarray(16);
  if (v6) {
    ip.writeUInt32BE(0x6000_0000, 0);
    ip.writeUInt16BE(udpBytes, 4);
    ip[6] = udp;
    ip[7] = 64;
    ip.set(from, 8);
    ip.set(to, 24);
  } else {
    ip.writeUInt16BE(0x4500, 0);
    ip.writeUInt16BE(ipBytes + udpBytes, 2);
    ip[8] = 64;
    ip[9] = udp;
    ip.set(from, 12);
    ip.set(to, 16);
    ip.writeUInt16BE(checksum(ip.subarray(0, 20), 0), 10);
  }
  const datagram = ip.subarray(ipBytes);
  datagram.writeUInt16BE(source.port, 0);
  datagram.writeUInt16BE(destination.port, 2);
  datagram.writeUInt16BE(udpBytes, 4);
  datagram.set(payload, 8);
  // Over IPv4 a checksum of zero is none; IPv6 wants one (RFC 8200 8.1), and zero is written as its complement.
  if (v6) {
    const pseudo = sumOf(from, sumOf(to, udpBytes + udp));
    datagram.writeUInt16BE(checksum(datagram, pseudo) || 0xffff, 6);
  }
  return record;
}

function addressOf(endpoint: Endpoint): Uint8Array | undefined {
  const view = new DataView(new ArrayBuffer(32));
  try {
    const length = writeSockaddr(view, 0, endpoint);
    return length === 16 ? new Uint8Array(view.buffer, 4, 4) : new Uint8Array(view.buffer, 8, 16);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function sumOf(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let n = 0; n < bytes.length; n += 2) sum += (bytes[n]! << 8) | (bytes[n + 1] ?? 0);
  return sum;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array, start: number): number {
  let sum = sumOf(bytes, start);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
