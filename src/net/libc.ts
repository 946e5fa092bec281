import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type * as Koffi from 'koffi';
import { CloudsipError } from '../error.ts';

/** The system calls of libc cannot be reached from this process; the message says why. */
export class LibcError extends CloudsipError {}

/** Watches a file descriptor on Node's event loop. Keep it: one that is collected stops watching without a word. */
export interface Readiness {
  /** Watches from now on for what is asked, instead of what was asked before; for nothing, it rests. */
  watch(events: { readable: boolean; writable: boolean }): void;
  /** Call it before the descriptor is closed. */
  close(): void;
}

/**
 * Called when the descriptor is ready; `status` is 0, or a negative errno after which nothing is watched until
 * `watch` is called again. Must not throw. Promises and nextTicks that it sets off run once all that is ready
 * in this turn of the loop has been served, not right after the callback.
 */
export type ReadinessHandler = (status: number) => void;

/**
 * The few calls of Linux' libc that Node does not offer for sockets. Pointers are addresses as plain numbers
 * (see `addressOf`), structures are laid out by the caller, a result of -1 is explained by `errno()` at once
 * after the call. The constants below hold for x86-64 and arm64.
 */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, sockaddr: number, length: number): number;
  connect(fd: number, sockaddr: number, length: number): number;
  getsockname(fd: number, sockaddr: number, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  recvfrom(fd: number, into: number, length: number, flags: number, sockaddr: number, size: number): number;
  sendto(fd: number, from: number, length: number, flags: number, sockaddr: number, size: number): number;
  /** `header` is a `struct msghdr`. */
  recvmsg(fd: number, header: number, flags: number): number;
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: number): number;
  sendmmsg(fd: number, headers: number, count: number, flags: number): number;
  close(fd: number): number;
  eventfd(initial: number, flags: number): number;
  eventfdWrite(fd: number, value: number): number;
  eventfdRead(fd: number, value: number): number;
  epollCreate(flags: number): number;
  epollControl(epoll: number, operation: number, fd: number, event: number): number;
  /** Blocks the thread for `timeoutMs` at most. */
  epollWait(epoll: number, events: number, count: number, timeoutMs: number): number;
  /** Blocks the thread. */
  usleep(microseconds: number): number;
  /** Blocks the thread: with no descriptors it is a nap of `timeoutMs`. */
  poll(descriptors: number, count: number, timeoutMs: number): number;
  /** bpf(2). */
  bpf(command: number, attributes: number, size: number): number;
  /** sched_setattr(2) for the calling thread; `attributes` is a `struct sched_attr`. */
  setScheduling(attributes: number): number;
  /**
   * Has the kernel make room in the process's table of descriptors for numbers below `count`, or as many powers of two
   * of it as the limit of open files allows. It doubles the table when it is full, and waits each time, in a process
   * with several threads, until no processor reads the old one (RCU): 10 ms at best, a second on a busy machine, in
   * which the thread that opens a socket stands still. Done by another thread, which alone waits.
   */
  makeRoom(count: number): Promise<void>;
  /** The errno that the last call on this thread left, as in `os.constants.errno`. */
  errno(): number;
  /**
   * Where the bytes lie. They must be kept for as long as a call is given the address, and must not move:
   * make them over a `new ArrayBuffer(n)`, since a small `new Uint8Array(n)` may lie inside the JS heap.
   */
  addressOf(bytes: Uint8Array): number;
  /** Watches `fd` for reading. It must be an open socket that is not watched yet: koffi 3.3 aborts the process else. */
  watch(fd: number, handler: ReadinessHandler): Readiness;
}

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_DGRAM = 2;
export const SOCK_CLOEXEC = 0o2000000;
export const MSG_DONTWAIT = 0x40;
/** Waits for the first message alone. */
export const MSG_WAITFORONE = 0x10000;
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const IPPROTO_IP = 0;
export const IP_MTU_DISCOVER = 10;
export const IP_PMTUDISC_DONT = 0;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_PMTUDISC_DONT = 0;
export const IPV6_V6ONLY = 26;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
/** struct epoll_event: packed on x86-64 alone. */
export const EPOLL_EVENT: { readonly size: number; readonly events: number; readonly data: number } =
  process.arch === 'x64'
    ? ({ size: 12, events: 0, data: 4 } as const)
    : ({ size: 16, events: 0, data: 8 } as const);

/** Their numbers among the system calls. */
const SYS_BPF = process.arch === 'x64' ? 321 : 280;
const SYS_SCHED_SETATTR = process.arch === 'x64' ? 314 : 274;

/** A table of as many descriptors is full soon enough. */
const leastRoom = 512;

/** sizeof(struct mmsghdr) and where its members lie, on 64-bit Linux. */
export const MMSGHDR = { size: 64, name: 0, nameLength: 8, iov: 16, iovLength: 24, length: 56 } as const;
/** sizeof(struct iovec) and where its members lie, on 64-bit Linux. */
export const IOVEC = { size: 16, base: 0, length: 8 } as const;

/** The name of the error of the last call, such as `EADDRINUSE`. */
export function errorName(libc: Libc): string {
  return getSystemErrorName(-libc.errno());
}

let loaded: Libc | undefined;

/** Binds libc once for each thread. Throws LibcError where that is not possible. */
export function loadLibc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64') || endianness() !== 'LE') {
    throw new LibcError(
      'LIBC_PLATFORM',
      `Expected Linux on x64 or arm64, found ${platform} on ${arch}: system calls are not made directly here.`,
    );
  }
  try {
    // Loaded only here, so that a machine without a fitting binary still runs what does not need it.
    return bindings(createRequire(import.meta.url)('koffi') as typeof Koffi);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new LibcError(
      'LIBC_KOFFI',
      `The package koffi, which makes system calls, does not load (${reason}); run "npm install koffi" to repair it.`,
      { cause },
    );
  }
}

function bindings(koffi: typeof Koffi): Libc {
  // null is the running process, which has libc linked: that fits glibc and musl alike.
  const libc = koffi.load(null);
  const call = (name: string, ...parameters: ('int' | 'pointer' | 'size')[]): unknown =>
    libc.func(
      name,
      'int',
      parameters.map((kind) => ({ int: 'int', pointer: 'uintptr_t', size: 'size_t' })[kind]),
    );
  // Prototypes in which a pointer is a number: koffi converts those fastest. No call here moves 2 GiB, so an
  // int result serves for ssize_t too.
  const functions = {
    socket: call('socket', 'int', 'int', 'int'),
    bind: call('bind', 'int', 'pointer', 'int'),
    connect: call('connect', 'int', 'pointer', 'int'),
    getsockname: call('getsockname', 'int', 'pointer', 'pointer'),
    getsockopt: call('getsockopt', 'int', 'int', 'int', 'pointer', 'pointer'),
    setsockopt: call('setsockopt', 'int', 'int', 'int', 'pointer', 'int'),
    recvfrom: call('recvfrom', 'int', 'pointer', 'size', 'int', 'pointer', 'pointer'),
    sendto: call('sendto', 'int', 'pointer', 'size', 'int', 'pointer', 'int'),
    recvmsg: call('recvmsg', 'int', 'pointer', 'int'),
    recvmmsg: call('recvmmsg', 'int', 'pointer', 'int', 'int', 'pointer'),
    sendmmsg: call('sendmmsg', 'int', 'pointer', 'int', 'int'),
    close: call('close', 'int'),
    eventfd: call('eventfd', 'int', 'int'),
    eventfdWrite: libc.func('eventfd_write', 'int', ['int', 'uint64_t']) as unknown,
    eventfdRead: call('eventfd_read', 'int', 'pointer'),
    epollCreate: call('epoll_create1', 'int'),
    epollControl: call('epoll_ctl', 'int', 'int', 'int', 'pointer'),
    epollWait: call('epoll_wait', 'int', 'pointer', 'int', 'int'),
    usleep: call('usleep', 'int'),
    poll: call('poll', 'pointer', 'size', 'int'),
  } as Omit<Libc, 'errno' | 'addressOf' | 'watch' | 'bpf' | 'setScheduling' | 'makeRoom'>;
  const dup3 = libc.func('dup3', 'int', ['int', 'int', 'int']);
  // libc has no function for bpf(2), and older ones have none for sched_setattr(2). The arguments of a variadic call
  // travel as those of any other here.
  const syscall = call('syscall', 'size', 'int', 'pointer', 'size') as (...args: number[]) => number;
  return {
    ...functions,
    bpf: (command, attributes, size) => syscall(SYS_BPF, command, attributes, size),
    setScheduling: (attributes) => syscall(SYS_SCHED_SETATTR, 0, attributes, 0),
    makeRoom: async (count) => {
      // There is no descriptor -1 to be duplicated: the kernel finds that out when it has made room for the new one,
      // unless that is above the limit. Nothing is opened or replaced.
      for (let room = count; room >= leastRoom; room >>= 1) {
        const { promise, resolve } = Promise.withResolvers<void>();
        dup3.async(-1, room - 1, 0, () => resolve());
        await promise;
      }
    },
    errno: () => koffi.errno(),
    addressOf: (bytes) => Number(koffi.address(bytes)),
    watch: (fd, handler) => {
      // koffi calls back with (status, events); its published types know only the events.
      const onReady = (status: unknown): void => handler(status as number);
      const handle = koffi.node.poll(fd, { readable: true }, onReady);
      return {
        watch: (events) => handle.start(events, onReady),
        close: () => handle.close(),
      };
    },
  };
}
