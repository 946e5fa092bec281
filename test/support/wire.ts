import { errorName, type Libc, loadLibc, type Readiness, SOCK_RAW } from '../../src/net/libc.ts';

const AF_PACKET = 17;
const everyProtocol = 3;
const frameBytes = 65_536;
const nonBlocking = 0o4000;
const outgoing = 4;

/** A UDP packet on an Ethernet, with all that a forwarder may do wrong. */
export interface Frame {
  readonly destinationMac: string;
  readonly sourceMac: string;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ttl: number;
  /** TOS or traffic class. */
  readonly tos: number;
  readonly payload: Buffer;
  /** As it stands in the packet. */
  readonly udpChecksum: number;
  /** True where the checksums are those of the content; a UDP checksum of zero in IPv4 says nothing. */
  readonly sound: boolean;
}

export interface FrameOptions {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Buffer;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly ttl?: number;
  readonly tos?: number;
  /** Sends 0 instead of the checksum. */
  readonly zeroChecksum?: boolean;
  /** Flags and offset of IPv4. */
  readonly fragment?: number;
  /** Bytes of IPv4 options, four of them each. */
  readonly options?: Buffer;
  /** The length in the header of UDP, where it is not that of the payload; the one of IP agrees with it. */
  readonly udpLength?: number;
  /** Bytes behind the packet, as cards fill short frames. */
  readonly padding?: number;
}

/** One interface of the network that the thread is in, as frames. */
export class Wire implements Disposable {
  readonly #libc: Libc = loadLibc();
  readonly #fd: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(frameBytes));
  readonly #address = new DataView(new ArrayBuffer(64));
  readonly #readiness: Readiness;
  readonly #arrived: Frame[] = [];
  #waiting: ((frame: Frame) => void) | undefined;

  constructor(ifindex: number) {
    const libc = this.#libc;
    this.#fd = libc.socket(AF_PACKET, SOCK_RAW | nonBlocking, everyProtocol << 8);
    this.#address.setUint16(0, AF_PACKET, true);
    this.#address.setUint16(2, everyProtocol);
    this.#address.setInt32(4, ifindex, true);
    if (this.#fd < 0 || libc.bind(this.#fd, libc.addressOf(new Uint8Array(this.#address.buffer)), 20) < 0) {
      throw new Error(`a packet socket on interface ${ifindex}: ${errorName(libc)}`);
    }
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setInt32(0, 8 << 20, true);
    libc.setsockopt(this.#fd, 1, 33, libc.addressOf(new Uint8Array(bytes.buffer)), 4);
    this.#readiness = libc.watch(this.#fd, () => this.#read());
  }

  send(options: FrameOptions): void {
    const frame = new Uint8Array(new ArrayBuffer(frameBytes));
    const bytes = encode(options);
    frame.set(bytes);
    const sent = this.#libc.sendto(this.#fd, this.#libc.addressOf(frame), bytes.length, 0, 0, 0);
    if (sent !== bytes.length) throw new Error(`a frame was not sent: ${errorName(this.#libc)}`);
  }

  /** The next UDP packet that came in; rejects after `timeoutMs`. */
  next(timeoutMs = 5000): Promise<Frame> {
    const frame = this.#arrived.shift();
    if (frame) return Promise.resolve(frame);
    const { promise, resolve, reject } = Promise.withResolvers<Frame>();
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      reject(new Error(`no packet came in ${timeoutMs} ms`));
    }, timeoutMs);
    this.#waiting = (arrived) => {
      clearTimeout(timer);
      resolve(arrived);
    };
    return promise;
  }

  /** What came in and was not read. */
  get unread(): number {
    return this.#arrived.length;
  }

  [Symbol.dispose](): void {
    this.#readiness.close();
    this.#libc.close(this.#fd);
  }

  #read(): void {
    const libc = this.#libc;
    const source = new Uint8Array(new ArrayBuffer(32));
    const length = new Uint8Array(new ArrayBuffer(8));
    for (;;) {
      new DataView(length.buffer).setUint32(0, 20, true);
      const size = libc.recvfrom(
        this.#fd,
        libc.addressOf(this.#buffer),
        frameBytes,
        0,
        libc.addressOf(source),
        libc.addressOf(length),
      );
      if (size < 0) return;
      // sll_pkttype: what this host sent itself is no arrival.
      if (source[10] === outgoing) continue;
      const frame = decode(Buffer.from(this.#buffer.subarray(0, size)));
      if (!frame) continue;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) waiting(frame);
      else this.#arrived.push(frame);
    }
  }
}

function encode(options: FrameOptions): Buffer {
  const v6 = options.source.includes(':');
  const { payload, ttl = 40, tos = 0xb8 } = options;
  const udp = Buffer.alloc(8 + payload.length);
  udp.writeUInt16BE(options.sourcePort, 0);
  udp.writeUInt16BE(options.destinationPort, 2);
  const { udpLength = udp.length } = options;
  const padding = Buffer.alloc(options.padding ?? 0);
  udp.writeUInt16BE(udpLength, 4);
  payload.copy(udp, 8);
  const source = addressToBytes(options.source);
  const destination = addressToBytes(options.destination);
  if (!options.zeroChecksum) udp.writeUInt16BE(udpChecksum(source, destination, udp) || 0xffff, 6);
  const ethernet = Buffer.concat([
    macToBytes(options.destinationMac),
    macToBytes(options.sourceMac),
    Buffer.from(v6 ? [0x86, 0xdd] : [0x08, 0x00]),
  ]);
  if (v6) {
    const ip = Buffer.alloc(8);
    ip.writeUInt32BE((6 << 28) | (tos << 20), 0);
    ip.writeUInt16BE(udpLength, 4);
    ip.set([17, ttl], 6);
    return Buffer.concat([ethernet, ip, source, destination, udp, padding]);
  }
  const extra = options.options ?? Buffer.alloc(0);
  const ip = Buffer.alloc(20 + extra.length);
  ip.set([0x45 + extra.length / 4, tos], 0);
  ip.writeUInt16BE(ip.length + udpLength, 2);
  ip.writeUInt16BE(0x1234, 4);
  ip.writeUInt16BE(options.fragment ?? 0x4000, 6);
  ip.set([ttl, 17], 8);
  source.copy(ip, 12);
  destination.copy(ip, 16);
  extra.copy(ip, 20);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([ethernet, ip, udp, padding]);
}

function decode(bytes: Buffer): Frame | undefined {
  const type = bytes.readUInt16BE(12);
  const v6 = type === 0x86dd;
  if ((type !== 0x0800 && !v6) || bytes.length < (v6 ? 62 : 42)) return undefined;
  const ip = bytes.subarray(14);
  if ((v6 ? ip[6] : ip[9]) !== 17) return undefined;
  const header = v6 ? 40 : (ip[0]! & 15) * 4;
  const total = v6 ? 40 + ip.readUInt16BE(4) : ip.readUInt16BE(2);
  const source = v6 ? ip.subarray(8, 24) : ip.subarray(12, 16);
  const destination = v6 ? ip.subarray(24, 40) : ip.subarray(16, 20);
  const udp = ip.subarray(header, total);
  const stated = udp.readUInt16BE(6);
  const soundIp = v6 || checksum(ip.subarray(0, header)) === 0;
  const soundUdp = (!v6 && stated === 0) || udpChecksum(source, destination, udp) === 0;
  return {
    destinationMac: bytesToMac(bytes.subarray(0, 6)),
    sourceMac: bytesToMac(bytes.subarray(6, 12)),
    source: bytesToAddress(source),
    destination: bytesToAddress(destination),
    sourcePort: udp.readUInt16BE(0),
    destinationPort: udp.readUInt16BE(2),
    ttl: v6 ? ip[7]! : ip[8]!,
    tos: v6 ? (ip.readUInt16BE(0) >> 4) & 0xff : ip[1]!,
    payload: Buffer.from(udp.subarray(8, udp.readUInt16BE(4))),
    udpChecksum: stated,
    sound: soundIp && soundUdp && udp.readUInt16BE(4) === udp.length,
  };
}

/** RFC 1071. */
function checksum(...parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function udpChecksum(source: Buffer, destination: Buffer, udp: Buffer): number {
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(udp.length, 0);
  pseudo[7] = 17;
  return checksum(source, destination, pseudo, udp);
}

function macToBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function bytesToMac(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** IPv4, or IPv6 with one `::`. */
function addressToBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [left = '', right = ''] = address.split('::').map((half) => half);
  const words = (half: string): number[] =>
    half === '' ? [] : half.split(':').map((word) => Number.parseInt(word, 16));
  const bytes = Buffer.alloc(16);
  words(left).forEach((word, index) => void bytes.writeUInt16BE(word, 2 * index));
  const tail = words(right);
  tail.forEach((word, index) => void bytes.writeUInt16BE(word, 16 - 2 * (tail.length - index)));
  return bytes;
}

function bytesToAddress(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return words.join(':').replace(/(?:^|:)0(?::0)+(?::|$)/, '::');
}
