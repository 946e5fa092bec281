import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Libc } from '../../net/libc.ts';
import { openNetlink } from '../../net/netlink.ts';
import { maxSlots } from '../slot-table.ts';
import { type SocketSource, systemCallSource } from '../socket-source.ts';
import { Bpf, BpfError, type Hook } from './bpf.ts';
import { flowBytes, keyBytes } from './flow-layout.ts';
import { linkMemoryBytes, openLinks } from './kernel-links.ts';
import { tcxProgram, xdpProgram } from './programs.ts';

export type KernelForwarder = 'kernel' | 'kernel-xdp';

/**
 * Sockets by system call, and a program in the kernel for flows that are settled. All of it hangs on descriptors
 * of this process: nothing is left of it when that ends, in whatever way. Throws BpfError, which says what is
 * missing; `attach` throws NetlinkError. `kernel` takes TCX where the kernel has it and else XDP; `kernel-xdp` is XDP
 * outside of drivers.
 */
export function kernelSource(libc: Libc, forwarder: KernelForwarder): SocketSource {
  const loaded = load(libc, forwarder);
  const { hook, mapFd, programFd } = loaded;
  const sockets = systemCallSource(libc);
  const memory = new SharedArrayBuffer(linkMemoryBytes);
  let netlink: number[] = [];
  const closeNetlink = (): void => {
    for (const fd of netlink) libc.close(fd);
    netlink = [];
  };
  return {
    ...sockets,
    forwarder: hook === 'tcx' ? 'kernel' : 'kernel-xdp',
    attach: () => {
      closeNetlink();
      const routesFd = openNetlink(libc, 'questions');
      netlink.push(routesFd);
      const changesFd = openNetlink(libc, hook === 'xdp' ? 'neighbours' : 'routes');
      netlink.push(changesFd);
      const genericOnly = forwarder === 'kernel-xdp';
      const kernel = { hook, genericOnly, memory, mapFd, programFd, routesFd, changesFd };
      return { ...sockets.attach(), kernel };
    },
    detach: () => {
      sockets.detach();
      closeNetlink();
      for (const { fd } of openLinks(memory)) libc.close(fd);
      new Int32Array(memory)[0] = 0;
      libc.close(programFd);
      libc.close(mapFd);
    },
  };
}

function load(
  libc: Libc,
  forwarder: KernelForwarder,
): { readonly hook: Hook; readonly mapFd: number; readonly programFd: number } {
  const bpf = new Bpf(libc);
  let mapFd = -1;
  try {
    mapFd = bpf.createHashMap('cloudsip_media', keyBytes, flowBytes, maxSlots);
    const hooks: readonly Hook[] = forwarder === 'kernel' ? ['tcx', 'xdp'] : ['xdp'];
    for (const hook of hooks) {
      try {
        const program = hook === 'tcx' ? tcxProgram : xdpProgram;
        return { hook, mapFd, programFd: bpf.loadProgram('cloudsip_media', hook, program, mapFd) };
      } catch (error) {
        // A kernel that does not know TCX says so with EINVAL.
        if (hook === hooks.at(-1) || !(error instanceof BpfError) || error.errno !== 'EINVAL') throw error;
      }
    }
    throw new RangeError('no hook to load a program for');
  } catch (error) {
    if (mapFd >= 0) libc.close(mapFd);
    throw error instanceof BpfError ? explained(error) : error;
  }
}

/** Numbers of capabilities(7) that bpf(2) and the links ask for. */
const needed: Readonly<Record<string, number>> = { CAP_NET_ADMIN: 12, CAP_BPF: 39 };
const capSysAdmin = 21;

/** What the person who runs the agent can do about it. */
function explained(error: BpfError): BpfError {
  const { errno, message } = error;
  if (errno === 'ENOSYS' || errno === 'EINVAL') {
    return new BpfError(errno, `kernel ${release()} is too old or built without BPF (${message})`);
  }
  if (errno !== 'EPERM') return error;
  const missing = missingCapabilities();
  const advice =
    missing.length > 0
      ? `this process lacks ${missing.join(' and ')}`
      : 'a security module or a filter of system calls forbids it';
  return new BpfError(errno, `${advice} (${message})`);
}

function missingCapabilities(): string[] {
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  const bits = BigInt(`0x${held ?? '0'}`);
  const has = (number: number): boolean => ((bits >> BigInt(number)) & 1n) === 1n;
  return Object.entries(needed).flatMap(([name, number]) =>
    has(number) || (name === 'CAP_BPF' && has(capSysAdmin)) ? [] : [name],
  );
}
