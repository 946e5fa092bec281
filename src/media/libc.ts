import { createRequire } from 'node:module';

type Int = number;
/** An address in memory. */
type Pointer = number;

/** The system calls that forward packets. Numbers in, numbers out: nothing is allocated in a call. */
export interface Libc {
  socket(domain: Int, type: Int, protocol: Int): Int;
  bind(fd: Int, address: Pointer, length: Int): Int;
  setsockopt(fd: Int, level: Int, name: Int, value: Pointer, length: Int): Int;
  close(fd: Int): Int;
  eventfd(initial: Int, flags: Int): Int;
  eventfd_write(fd: Int, value: Int): Int;
  eventfd_read(fd: Int, value: Pointer): Int;
  epoll_create1(flags: Int): Int;
  epoll_ctl(epollFd: Int, operation: Int, fd: Int, event: Pointer): Int;
  epoll_wait(epollFd: Int, events: Pointer, maxEvents: Int, timeoutMs: Int): Int;
  recvfrom(fd: Int, buffer: Pointer, size: Int, flags: Int, source: Pointer, sourceLength: Pointer): Int;
  sendto(fd: Int, buffer: Pointer, size: Int, flags: Int, target: Pointer, targetLength: Int): Int;
  /** The name of the last call's error, such as `EADDRINUSE`. */
  lastError(): string;
  /** The address of memory that lives outside the heap and never moves. Keep a reference to it. */
  addressOf(memory: Uint8Array): Pointer;
}

const signatures = {
  socket: ['int', ['int', 'int', 'int']],
  bind: ['int', ['int', 'uintptr_t', 'int']],
  setsockopt: ['int', ['int', 'int', 'int', 'uintptr_t', 'int']],
  close: ['int', ['int']],
  eventfd: ['int', ['uint', 'int']],
  eventfd_write: ['int', ['int', 'uint64_t']],
  eventfd_read: ['int', ['int', 'uintptr_t']],
  epoll_create1: ['int', ['int']],
  epoll_ctl: ['int', ['int', 'int', 'int', 'uintptr_t']],
  epoll_wait: ['int', ['int', 'uintptr_t', 'int', 'int']],
  recvfrom: ['long', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uintptr_t']],
  sendto: ['long', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'int']],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

type CallName = keyof typeof signatures;

/**
 * Binds the calls of the C library that this process runs with (glibc or musl). Throws where the machine is
 * not Linux or koffi has no build for it: the caller falls back to node:dgram.
 */
export function loadLibc(): Libc {
  if (process.platform !== 'linux')
    throw new Error(`system calls are used on Linux only, not ${process.platform}`);
  // Required, not imported: an absent build must be an exception here and not the end of the program.
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(null);
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
  const calls = Object.fromEntries(
    (Object.keys(signatures) as CallName[]).map((name) => {
      const [result, parameters] = signatures[name];
      return [name, library.func(name, result, [...parameters])];
    }),
  ) as unknown as Pick<Libc, CallName>;
  return {
    ...calls,
    lastError: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
    addressOf: (memory) => Number(koffi.address(memory)),
  };
}
