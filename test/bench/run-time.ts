import { readdirSync, readFileSync } from 'node:fs';
import { processTree } from './process-usage.ts';

/** USER_HZ is 100 on every architecture of Linux that Node runs on. */
const tickNs = 10_000_000;

/**
 * Nanoseconds that processes, with all below them, were on a processor. What the kernel does for a packet in the
 * midst of a process (softirq) counts to that process, what it puts off to its own threads to these: they are
 * counted in as well.
 */
export function runTimeNs(pids: readonly number[]): number {
  return [...pids.flatMap(processTree), ...softirqThreads()].reduce((sum, pid) => sum + ofProcess(pid), 0);
}

/** Nanoseconds that all processors were not idle, by the clock ticks of /proc/stat. */
export function systemBusyNs(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq) * tickNs;
}

/** Nanoseconds of all processes but these, the kernel's threads for packets, and those that both times were not there. */
export function othersNs(pids: readonly number[]): Map<number, number> {
  const own = new Set([...pids.flatMap(processTree), ...softirqThreads()]);
  const found = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (pid > 0 && !own.has(pid)) found.set(pid, ofProcess(pid));
  }
  return found;
}

function ofProcess(pid: number): number {
  let sum = 0;
  for (const task of entries(`/proc/${pid}/task`)) {
    sum += Number(text(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0] || 0);
  }
  return sum;
}

let threads: number[] | undefined;

function softirqThreads(): number[] {
  threads ??= entries('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && text(`/proc/${pid}/comm`).startsWith('ksoftirqd/'));
  return threads;
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // it has ended
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
