import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { LabError } from './lab-error.ts';

const CLONE_NEWNET = 0x40000000;
const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int nstype)');

/**
 * Runs `action` with this thread inside a named network namespace, and comes back. setns(2) moves one thread
 * only, so `action` must be synchronous: sockets it creates and processes it spawns belong to the namespace
 * for good, while what it leaves for later runs outside.
 */
export function insideNamespace<T>(name: string, action: () => T): T {
  const own = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const other = openSync(`/run/netns/${name}`, 'r');
    try {
      enter(other, name);
    } finally {
      closeSync(other);
    }
    try {
      return action();
    } finally {
      enter(own, 'the namespace of the test');
    }
  } finally {
    closeSync(own);
  }
}

function enter(descriptor: number, name: string): void {
  if (setns(descriptor, CLONE_NEWNET) !== 0) {
    throw new LabError(
      `cannot enter ${name}: setns failed with errno ${koffi.errno()}; it needs CAP_SYS_ADMIN`,
    );
  }
}
