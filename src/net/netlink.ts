import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { CloudsipError } from '../error.ts';
import { AF_NETLINK, type Libc, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './libc.ts';

/** The kernel refused a question about the network. */
export class NetlinkError extends CloudsipError {
  constructor(errno: number) {
    super('NETLINK', `routes cannot be read over netlink: ${getSystemErrorName(-errno)}`);
  }
}

/** Message types of netlink(7) and rtnetlink(7). */
export const messageType = {
  error: 2,
  done: 3,
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
  getRoute: 26,
  getRule: 34,
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
/** The kernel puts no more into one read. */
const bufferBytes = 32_768;
const requestFlag = 1;
const dumpFlag = 0x300;

/** One message: its type, and its body with what follows it as attributes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: Buffer;
}

/** A netlink socket of this process' network; needs no rights. Throws a `NetlinkError`. */
export function openNetlink(libc: Libc, use: NetlinkUse): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
  const address = Buffer.from(new ArrayBuffer(12));
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups[use], 8);
  if (fd >= 0 && libc.bind(fd, libc.addressOf(address), address.length) >= 0) return fd;
  const errno = libc.errno();
  if (fd >= 0) libc.close(fd);
  throw new NetlinkError(errno);
}

/**
 * Asks and reads over a socket of `openNetlink`. One for each thread: its memory is written in every call. Nothing
 * blocks for longer than the kernel thinks: it answers before the question is sent.
 */
export class Netlink {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #buffer: Buffer = Buffer.from(new ArrayBuffer(bufferBytes));
  readonly #address: number;
  #sequence = 0;

  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
    this.#address = libc.addressOf(this.#buffer);
  }

  /** The one answer, or an errno where the kernel says no, as for a destination without a route. */
  ask(type: number, ...body: Uint8Array[]): NetlinkMessage | number {
    const answers = this.#answers(type, requestFlag, body);
    return typeof answers === 'number' ? answers : answers[0]!;
  }

  /** All that there is of something. Throws a `NetlinkError`. */
  list(type: number, ...body: Uint8Array[]): NetlinkMessage[] {
    const answers = this.#answers(type, requestFlag | dumpFlag, body);
    if (typeof answers === 'number') throw new NetlinkError(answers);
    return answers;
  }

  /** What changed since the last call; 'lost' where there was more than the socket could hold. */
  changes(): NetlinkMessage[] | 'lost' {
    const found: NetlinkMessage[] = [];
    for (;;) {
      const size = this.#read();
      if (size < 0) return this.#libc.errno() === constants.errno.ENOBUFS ? 'lost' : found;
      found.push(...this.#messages(size));
    }
  }

  #answers(type: number, flags: number, body: readonly Uint8Array[]): NetlinkMessage[] | number {
    const sequence = ++this.#sequence;
    let length = headerBytes;
    for (const part of body) {
      this.#buffer.set(part, length);
      length += part.length;
    }
    this.#buffer.writeUInt32LE(length, 0);
    this.#buffer.writeUInt16LE(type, 4);
    this.#buffer.writeUInt16LE(flags, 6);
    this.#buffer.writeUInt32LE(sequence, 8);
    this.#buffer.writeUInt32LE(0, 12);
    if (this.#libc.sendto(this.#fd, this.#address, length, 0, 0, 0) < 0) return this.#libc.errno();
    const answers: NetlinkMessage[] = [];
    for (;;) {
      const size = this.#read();
      if (size < 0) return this.#libc.errno();
      // What waits from an earlier question is passed over.
      if (this.#buffer.readUInt32LE(8) !== sequence) continue;
      for (const message of this.#messages(size)) {
        if (message.type === messageType.error) return -message.body.readInt32LE(0);
        if (message.type === messageType.done) return answers;
        answers.push(message);
      }
      if ((flags & dumpFlag) === 0 && answers.length > 0) return answers;
    }
  }

  #read(): number {
    return this.#libc.recvfrom(this.#fd, this.#address, bufferBytes, MSG_DONTWAIT, 0, 0);
  }

  *#messages(size: number): Iterable<NetlinkMessage> {
    for (let at = 0; at + headerBytes <= size; ) {
      const length = this.#buffer.readUInt32LE(at);
      if (length < headerBytes || at + length > size) return;
      const body = Buffer.from(this.#buffer.subarray(at + headerBytes, at + length));
      yield { type: this.#buffer.readUInt16LE(at + 4), body };
      at += (length + 3) & ~3;
    }
  }
}

/** One attribute (struct rtattr), padded. */
export function netlinkAttribute(type: number, value: Uint8Array): Buffer {
  const attribute = Buffer.alloc((4 + value.length + 3) & ~3);
  attribute.writeUInt16LE(4 + value.length, 0);
  attribute.writeUInt16LE(type, 2);
  attribute.set(value, 4);
  return attribute;
}

/** The attributes behind a fixed header of `offset` bytes, by type. */
export function netlinkAttributes(body: Buffer, offset: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = offset; at + 4 <= body.length; ) {
    const size = body.readUInt16LE(at);
    if (size < 4 || at + size > body.length) break;
    found.set(body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + size));
    at += (size + 3) & ~3;
  }
  return found;
}
