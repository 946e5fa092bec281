import { readdirSync, readFileSync } from 'node:fs';

/** Processor time in seconds. */
export interface CpuSeconds {
  readonly user: number;
  readonly system: number;
}

/** Clock ticks of /proc: USER_HZ is 100 on every architecture of Linux that Node runs on. */
const ticksPerSecond = 100;

/** The process and all below it. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const parent of tree) {
    for (const task of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${task}/children`);
      for (const child of children.split(' ')) if (child) tree.push(Number(child));
    }
  }
  return tree;
}

/** What all of these processes, with their threads, have used since they began (proc(5), fields 14 and 15). */
export function cpuSeconds(pids: readonly number[]): CpuSeconds {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const stat = read(`/proc/${pid}/stat`);
    // The name in parentheses may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    user += Number(fields[11] ?? 0);
    system += Number(fields[12] ?? 0);
  }
  return { user: user / ticksPerSecond, system: system / ticksPerSecond };
}

/** Proportional set size in MiB: memory that several of the processes share counts once. */
export function proportionalMemoryMib(pids: readonly number[]): number {
  return kilobytes(pids, 'smaps_rollup', /^Pss: +(\d+) kB/m) / 1024;
}

/** The same without pages of files: a program's own share of these moves when others of the same program come or go. */
export function ownMemoryMib(pids: readonly number[]): number {
  return kilobytes(pids, 'smaps_rollup', /^Pss_Anon: +(\d+) kB/m) / 1024;
}

/** Resident set size in MiB. */
export function residentMemoryMib(pids: readonly number[]): number {
  return kilobytes(pids, 'status', /^VmRSS:\s+(\d+) kB/m) / 1024;
}

function kilobytes(pids: readonly number[], file: string, pattern: RegExp): number {
  return pids.reduce((sum, pid) => sum + Number(pattern.exec(read(`/proc/${pid}/${file}`))?.[1] ?? 0), 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process has ended meanwhile
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
