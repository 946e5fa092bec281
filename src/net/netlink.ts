import { constants } from 'node:os';
import { CloudsipError } from '../error.ts';
import { type Libc, loadLibc, MSG_DONTWAIT, SOCK_CLOEXEC } from './libc.ts';

/** The kernel refused a question about the network; `errno` is its reason, as in `os.constants.errno`. */
export class NetlinkError extends CloudsipError {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super('NETLINK', `${call}: expected an answer of the kernel, came ${errnoName(errno)}.`);
    this.errno = errno;
  }
}

export interface NetlinkMessage {
  readonly type: number;
  readonly body: Buffer;
}

export const NLM_F_REQUEST = 1;
export const NLM_F_DUMP = 0x300;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_LENGTH = 16;

/**
 * Asks the kernel one question (RTM_GET…) and returns its answers; needs no rights. Blocks no longer than the
 * kernel thinks, since it answers before the question is sent. Throws a `NetlinkError`, or the `LibcError` of
 * `loadLibc`.
 */
export function askNetlink(type: number, flags: number, body: Uint8Array): NetlinkMessage[] {
  const libc = loadLibc();
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw new NetlinkError('socket', libc.errno());
  try {
    const request = Buffer.from(new ArrayBuffer(HEADER_LENGTH + body.length));
    request.writeUInt32LE(request.length, 0);
    request.writeUInt16LE(type, 4);
    request.writeUInt16LE(NLM_F_REQUEST | flags, 6);
    request.writeUInt32LE(1, 8);
    request.set(body, HEADER_LENGTH);
    // To the kernel, which is port 0.
    const kernel = new Uint8Array(new ArrayBuffer(12));
    new DataView(kernel.buffer).setUint16(0, AF_NETLINK, true);
    const sent = libc.sendto(
      fd,
      libc.addressOf(request),
      request.length,
      0,
      libc.addressOf(kernel),
      kernel.length,
    );
    if (sent < 0) throw new NetlinkError('sendto', libc.errno());
    return receive(libc, fd, (flags & NLM_F_DUMP) === NLM_F_DUMP);
  } finally {
    libc.close(fd);
  }
}

function receive(libc: Libc, fd: number, isDump: boolean): NetlinkMessage[] {
  const buffer = Buffer.from(new ArrayBuffer(65_536));
  const answers: NetlinkMessage[] = [];
  for (;;) {
    const length = libc.recvfrom(fd, libc.addressOf(buffer), buffer.length, MSG_DONTWAIT, 0, 0);
    if (length < 0) throw new NetlinkError('recvfrom', libc.errno());
    for (let at = 0; at + HEADER_LENGTH <= length; ) {
      const size = buffer.readUInt32LE(at);
      const type = buffer.readUInt16LE(at + 4);
      if (size < HEADER_LENGTH || at + size > length) break;
      const body = Buffer.from(buffer.subarray(at + HEADER_LENGTH, at + size));
      if (type === NLMSG_DONE) return answers;
      if (type === NLMSG_ERROR) {
        const errno = -body.readInt32LE(0);
        if (errno !== 0) throw new NetlinkError('the kernel', errno);
        return answers;
      }
      answers.push({ type, body });
      at += (size + 3) & ~3;
    }
    if (!isDump) return answers;
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

function errnoName(errno: number): string {
  const entry = Object.entries(constants.errno).find(([, value]) => value === errno);
  return entry?.[0] ?? `error ${errno}`;
}
