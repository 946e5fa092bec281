import type { Libc } from '../net/libc.ts';

const AF_UNIX = 1;
/** sizeof(struct sockaddr_un) and where its path lies (unix(7)). */
const sockaddrUnLength = 110;
const pathOffset = 2;
/** No buffer smaller than this is sure to lie off the JS heap. */
const offHeapLength = 4096;
const MSG_NOSIGNAL = 0x4000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Tells the service manager a state (sd_notify(3)): `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=…`, several
 * parted by newlines. Resolves to whether it was handed over: false without a service manager (NOTIFY_SOCKET
 * absent), and where it cannot be reached, for no service may fail because its manager does not listen.
 */
export async function notifyServiceManager(state: string, env: Environment = process.env): Promise<boolean> {
  const name = env['NOTIFY_SOCKET'];
  // What begins with neither is no UNIX socket: a virtual machine's own manager has `vsock:…`.
  if (!name || !/^[/@]/.test(name)) return false;
  try {
    const { loadLibc, SOCK_CLOEXEC, SOCK_DGRAM } = await import('../net/libc.ts');
    const libc = loadLibc();
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    try {
      return send(libc, fd, name, state);
    } finally {
      libc.close(fd);
    }
  } catch {
    return false;
  }
}

/** False where the name does not fit or nobody listens there. The manager's socket takes all at once: it never waits. */
function send(libc: Libc, fd: number, name: string, state: string): boolean {
  const path = Buffer.from(name);
  const payload = Buffer.from(state);
  if (path.length + pathOffset >= sockaddrUnLength || payload.length > offHeapLength) return false;
  const address = new Uint8Array(new ArrayBuffer(offHeapLength));
  address[0] = AF_UNIX;
  address.set(path, pathOffset);
  // An abstract name is written with an @ where the address has a zero, and ends where the length says.
  if (name.startsWith('@')) address[pathOffset] = 0;
  const length = pathOffset + path.length + (name.startsWith('@') ? 0 : 1);
  const body = new Uint8Array(new ArrayBuffer(offHeapLength));
  body.set(payload);
  const sent = libc.sendto(
    fd,
    libc.addressOf(body),
    payload.length,
    MSG_NOSIGNAL,
    libc.addressOf(address),
    length,
  );
  return sent === payload.length;
}

/**
 * How often to send `WATCHDOG=1`, in milliseconds: at half the time after which the manager takes the service
 * for hung (sd_watchdog_enabled(3)). Undefined where it does not watch this process.
 */
export function watchdogIntervalMs(
  env: Environment = process.env,
  pid: number = process.pid,
): number | undefined {
  const timeoutUs = Number(env['WATCHDOG_USEC']);
  if (!Number.isSafeInteger(timeoutUs) || timeoutUs <= 0) return undefined;
  const watched = env['WATCHDOG_PID'];
  if (watched !== undefined && watched !== String(pid)) return undefined;
  return Math.max(1, Math.floor(timeoutUs / 2000));
}
