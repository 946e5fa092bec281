import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const libc = koffi.load(null);
const unshare = libc.func('int unshare(int flags)');
const setns = libc.func('int setns(int fd, int nstype)');
const ownNetwork = '/proc/thread-self/ns/net';

/**
 * Moves this test file into a network of its own, for good: its main thread, and with it the threads and
 * processes that it starts from now on. The network ends with the process. Needs root.
 */
export function enterPrivateNetwork(): void {
  if (unshare(CLONE_NEWNET) !== 0)
    throw new Error(`unshare failed with errno ${koffi.errno()}: it needs root`);
  ip('link set lo up');
}

/** Another network that is reached by cables only. It ends with the process, or when it is closed. */
export class OtherNetwork implements Disposable {
  readonly #descriptor: number;

  constructor() {
    const own = openSync(ownNetwork, 'r');
    try {
      if (unshare(CLONE_NEWNET) !== 0)
        throw new Error(`unshare failed with errno ${koffi.errno()}: it needs root`);
      this.#descriptor = openSync(ownNetwork, 'r');
      ip('link set lo up');
      enter(own);
    } finally {
      closeSync(own);
    }
  }

  /** A path that `ip link` takes for a namespace. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#descriptor}`;
  }

  /** Runs something synchronous there: what it opens and starts belongs to that network. */
  inside<T>(action: () => T): T {
    const own = openSync(ownNetwork, 'r');
    try {
      enter(this.#descriptor);
      try {
        return action();
      } finally {
        enter(own);
      }
    } finally {
      closeSync(own);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

function enter(descriptor: number): void {
  if (setns(descriptor, CLONE_NEWNET) !== 0) throw new Error(`setns failed with errno ${koffi.errno()}`);
}

/** Runs ip(8) with each line in turn. */
export function ip(...lines: readonly string[]): void {
  run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

/** Runs a command in the network of the moment. */
export function run(command: string, args: readonly string[], input = ''): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', input });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}${input}`);
  return stdout;
}
