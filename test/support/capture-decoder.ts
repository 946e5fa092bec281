import { SocketAddress } from 'node:net';
import { CloudsipError } from '../../src/error.ts';

/** `ERR_TEST_CAPTURE`: a capture file that is not what tcpdump writes. */
export class CaptureError extends CloudsipError {
  constructor(message: string) {
    super('ERR_TEST_CAPTURE', message);
  }
}

export interface PacketEndpoint {
  readonly address: string;
  /** 0 where the protocol has no ports. */
  readonly port: number;
}

/** One IP packet as it stood on the wire; fragments of IPv4 are put together again. */
export interface Packet {
  /** Milliseconds since 1970, with a fraction. */
  readonly timeMs: number;
  readonly protocol: 'udp' | 'tcp' | 'icmp' | 'other';
  readonly source: PacketEndpoint;
  readonly destination: PacketEndpoint;
  /** What follows the UDP or TCP header; for other protocols what follows the IP header. */
  readonly payload: Buffer;
  /** Whether the IPv4 header's checksum and that of UDP or TCP are right; over IPv4 a UDP checksum of 0 counts as right. */
  readonly checksumsRight: boolean;
  /** Differentiated services: the upper six bits of what was TOS or is the traffic class. */
  readonly dscp: number;
  /** How many IP fragments carried it. */
  readonly fragments: number;
}

/** Link-layer header lengths by pcap link type: Ethernet, raw IP, Linux cooked (v1, v2). */
const linkHeaderLength: Readonly<Record<number, number>> = { 1: 14, 101: 0, 113: 16, 276: 20 };
const protocolNames: Readonly<Record<number, Packet['protocol']>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp',
};

interface Fragment {
  readonly offset: number;
  readonly more: boolean;
  readonly bytes: Buffer;
}

/** Turns a stream in pcap format (microseconds, this machine's byte order) into packets as it arrives. */
export class CaptureDecoder {
  #rest: Buffer = Buffer.alloc(0);
  #linkHeader = -1;
  readonly #fragments = new Map<string, Fragment[]>();

  /** The packets that these bytes complete. What is not IP (ARP) is passed over. */
  push(chunk: Buffer): Packet[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#linkHeader < 0 && !this.#takeFileHeader()) return [];
    const packets: Packet[] = [];
    let at = 0;
    while (this.#rest.length - at >= 16) {
      const length = this.#rest.readUInt32LE(at + 8);
      if (this.#rest.length - at < 16 + length) break;
      const timeMs = this.#rest.readUInt32LE(at) * 1000 + this.#rest.readUInt32LE(at + 4) / 1000;
      const packet = this.#decode(timeMs, this.#rest.subarray(at + 16, at + 16 + length));
      if (packet) packets.push(packet);
      at += 16 + length;
    }
    this.#rest = this.#rest.subarray(at);
    return packets;
  }

  #takeFileHeader(): boolean {
    if (this.#rest.length < 24) return false;
    const magic = this.#rest.readUInt32LE(0);
    if (magic !== 0xa1b2c3d4)
      throw new CaptureError(`expected a pcap header, got magic ${magic.toString(16)}`);
    const linkType = this.#rest.readUInt32LE(20);
    const length = linkHeaderLength[linkType];
    if (length === undefined) throw new CaptureError(`pcap link type ${linkType} is not known here`);
    this.#linkHeader = length;
    this.#rest = this.#rest.subarray(24);
    return true;
  }

  #decode(timeMs: number, frame: Buffer): Packet | undefined {
    const ip = frame.subarray(this.#linkHeader);
    const type = this.#etherType(frame, ip);
    if (type === 0x86dd && ip.length >= 40)
      return decodePacket(timeMs, ip.subarray(0, 40), ip.subarray(40, 40 + ip.readUInt16BE(4)), 1);
    if (ip.length < 20 || ip[0]! >> 4 !== 4 || type !== 0x0800) return undefined;
    const headerLength = (ip[0]! & 15) * 4;
    const total = ip.readUInt16BE(2);
    const body = ip.subarray(headerLength, total);
    const header = ip.subarray(0, headerLength);
    const flags = ip.readUInt16BE(6);
    const fragment: Fragment = { offset: (flags & 0x1fff) * 8, more: (flags & 0x2000) !== 0, bytes: body };
    if (!fragment.more && fragment.offset === 0) return decodePacket(timeMs, header, body, 1);
    const key = header.toString('hex', 4, 6) + header.toString('hex', 9, 10) + header.toString('hex', 12, 20);
    const fragments = [...(this.#fragments.get(key) ?? []), fragment];
    const whole = assemble(fragments);
    if (!whole) {
      this.#fragments.set(key, fragments);
      return undefined;
    }
    this.#fragments.delete(key);
    return decodePacket(timeMs, header, whole, fragments.length);
  }

  #etherType(frame: Buffer, ip: Buffer): number {
    if (this.#linkHeader === 14) return frame.readUInt16BE(12);
    if (this.#linkHeader === 16) return frame.readUInt16BE(14);
    if (this.#linkHeader !== 0) return frame.readUInt16BE(0);
    return ip.length > 0 && ip[0]! >> 4 === 6 ? 0x86dd : 0x0800;
  }
}

/** RFC 791 section 3.2, for fragments that do not overlap. */
function assemble(fragments: readonly Fragment[]): Buffer | undefined {
  const ordered = fragments.toSorted((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { offset, bytes } of ordered) {
    if (offset !== end) return undefined;
    end += bytes.length;
  }
  return ordered.at(-1)?.more === false ? Buffer.concat(ordered.map(({ bytes }) => bytes)) : undefined;
}

function decodePacket(timeMs: number, ip: Buffer, body: Buffer, fragments: number): Packet {
  const six = ip[0]! >> 4 === 6;
  const protocol = protocolNames[ip[six ? 6 : 9]!] ?? 'other';
  const ports = (protocol === 'udp' || protocol === 'tcp') && body.length >= 8;
  const source = { address: six ? colons(ip, 8) : dotted(ip, 12), port: ports ? body.readUInt16BE(0) : 0 };
  const destination = {
    address: six ? colons(ip, 24) : dotted(ip, 16),
    port: ports ? body.readUInt16BE(2) : 0,
  };
  let payload = body;
  if (protocol === 'udp') payload = body.subarray(8);
  else if (protocol === 'tcp') payload = body.subarray((body[12]! >> 4) * 4);
  const checksumsRight = checksumsHold(ip, body, protocol, fragments);
  const dscp = ((six ? ip.readUInt16BE(0) >> 4 : ip[1]!) >> 2) & 0x3f;
  return { timeMs, protocol, source, destination, payload, checksumsRight, dscp, fragments };
}

function checksumsHold(ip: Buffer, body: Buffer, protocol: Packet['protocol'], fragments: number): boolean {
  const six = ip[0]! >> 4 === 6;
  if (!six && fragments === 1 && onesComplementSum(ip) !== 0xffff) return false;
  if (protocol !== 'udp' && protocol !== 'tcp') return true;
  if (protocol === 'udp' && body.readUInt16BE(6) === 0) return !six;
  const tail = Buffer.alloc(4);
  tail[1] = ip[six ? 6 : 9]!;
  tail.writeUInt16BE(body.length, 2);
  const pseudo = Buffer.concat([six ? ip.subarray(8, 40) : ip.subarray(12, 20), tail]);
  return onesComplementSum(Buffer.concat([pseudo, body])) === 0xffff;
}

function onesComplementSum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** As Node writes IPv6 (RFC 5952). */
function colons(bytes: Buffer, at: number): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16));
  return new SocketAddress({ family: 'ipv6', address: words.join(':') }).address;
}

function dotted(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}
