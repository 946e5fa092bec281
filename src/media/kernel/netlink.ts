import { AF_NETLINK, errorName, type Libc, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from '../../net/libc.ts';
import { BpfError } from './bpf.ts';

/** Message types of rtnetlink(7). */
export const messageType = {
  error: 2,
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
  getRoute: 26,
} as const;

/** RTNLGRP_* as bits: what makes packets take another way. */
const group = {
  link: 1,
  neighbour: 1 << 2,
  ipv4Address: 1 << 4,
  ipv4Route: 1 << 6,
  ipv4Rule: 1 << 7,
  ipv6Address: 1 << 8,
  ipv6Route: 1 << 10,
  ipv6Rule: 1 << 18,
} as const;
const everyGroup = Object.values(group).reduce((sum, bit) => sum | bit, 0);

/** What a socket is for: questions, or news of routes, or of neighbours too. */
export type NetlinkUse = 'questions' | 'routes' | 'neighbours';
const groups: Readonly<Record<NetlinkUse, number>> = {
  questions: 0,
  routes: everyGroup & ~group.neighbour,
  neighbours: everyGroup,
};

const headerBytes = 16;
const bufferBytes = 32_768;
const requestFlag = 1;

/** One message: its type, and its body with what follows it as attributes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: DataView;
}

/** A netlink socket of this process' network. */
export function openNetlink(libc: Libc, use: NetlinkUse): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, AF_NETLINK, true);
  address.setUint32(8, groups[use], true);
  if (fd >= 0 && libc.bind(fd, libc.addressOf(new Uint8Array(address.buffer)), 12) >= 0) return fd;
  const errno = errorName(libc);
  if (fd >= 0) libc.close(fd);
  throw new BpfError(errno, `routes cannot be read over netlink: ${errno}`);
}

/** Asks and reads over sockets of `openNetlink`. One for each thread: its memory is written in every call. */
export class Netlink {
  readonly #libc: Libc;
  readonly #view: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(bufferBytes));
  readonly #address: number;
  #sequence = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#address = libc.addressOf(new Uint8Array(this.#view.buffer));
  }

  /**
   * Asks one question with one answer; undefined where the kernel says no, as for a destination without a route.
   * `write` fills in the body and gives its length. The answer is valid until the next call.
   */
  ask(fd: number, type: number, write: (body: DataView) => number): NetlinkMessage | undefined {
    const view = this.#view;
    new Uint8Array(view.buffer).fill(0, 0, 256);
    const length = headerBytes + write(new DataView(view.buffer, headerBytes, 240));
    const sequence = ++this.#sequence;
    view.setUint32(0, length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, requestFlag, true);
    view.setUint32(8, sequence, true);
    if (this.#libc.sendto(fd, this.#address, length, 0, 0, 0) < 0) return undefined;
    // The kernel answers within the call; what waits from an earlier question is passed over.
    for (;;) {
      const size = this.#libc.recvfrom(fd, this.#address, bufferBytes, MSG_DONTWAIT, 0, 0);
      if (size < headerBytes) return undefined;
      if (view.getUint32(8, true) !== sequence) continue;
      const [message] = this.#messages(size);
      return message?.type === messageType.error ? undefined : message;
    }
  }

  /** What changed since the last call; 'lost' where there was more than the socket could hold. */
  changes(fd: number): NetlinkMessage[] | 'lost' {
    const found: NetlinkMessage[] = [];
    for (;;) {
      const size = this.#libc.recvfrom(fd, this.#address, bufferBytes, MSG_DONTWAIT, 0, 0);
      if (size < 0) return errorName(this.#libc) === 'ENOBUFS' ? 'lost' : found;
      for (const { type, body } of this.#messages(size)) {
        const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
        found.push({ type, body: new DataView(bytes.buffer) });
      }
    }
  }

  *#messages(size: number): Iterable<NetlinkMessage> {
    const view = this.#view;
    for (let at = 0; at + headerBytes <= size; ) {
      const length = view.getUint32(at, true);
      if (length < headerBytes || at + length > size) return;
      const body = new DataView(view.buffer, at + headerBytes, length - headerBytes);
      yield { type: view.getUint16(at + 4, true), body };
      at += (length + 3) & ~3;
    }
  }
}

/** The attributes behind the first `from` bytes of a message's body, by type. */
export function attributesOf(body: DataView, from: number): Map<number, DataView> {
  const found = new Map<number, DataView>();
  for (let at = from; at + 4 <= body.byteLength; ) {
    const length = body.getUint16(at, true);
    if (length < 4 || at + length > body.byteLength) break;
    found.set(
      body.getUint16(at + 2, true) & 0x3fff,
      new DataView(body.buffer, body.byteOffset + at + 4, length - 4),
    );
    at += (length + 3) & ~3;
  }
  return found;
}

/** Writes an attribute; gives where the next one goes. */
export function writeAttribute(body: DataView, at: number, type: number, value: Uint8Array): number {
  body.setUint16(at, 4 + value.length, true);
  body.setUint16(at + 2, type, true);
  new Uint8Array(body.buffer, body.byteOffset + at + 4).set(value);
  return at + ((4 + value.length + 3) & ~3);
}
