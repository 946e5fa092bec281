import { readdirSync, readFileSync } from 'node:fs';

/**
 * Where /proc tells of the BPF maps of a process. To look for them among many descriptors costs the kernel an inode
 * for each: it is done before there are many.
 */
export function bpfMaps(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fdinfo`)
    .map((fd) => `/proc/${pid}/fdinfo/${fd}`)
    .filter((path) => /^map_type:/m.test(readFileSync(path, 'latin1')));
}

/** What the kernel keeps in these maps. */
export function bpfMapBytes(maps: readonly string[]): number {
  return maps.reduce(
    (sum, path) => sum + Number(/^memlock:\s*(\d+)$/m.exec(readFileSync(path, 'latin1'))?.[1] ?? 0),
    0,
  );
}

/** What a socket in an epoll set is made of. */
const socketCaches =
  /^(?:UDP|sock_inode_cache|dentry|filp|eventpoll_epi|ep_head|lsm_inode_cache|lsm_file_cache)\s+\d+\s+(\d+)\s+(\d+)/gm;

/** In all of the machine's sockets, and in the names of its files. */
export function socketSlabBytes(): number {
  let bytes = 0;
  for (const [, objects, size] of readFileSync('/proc/slabinfo', 'latin1').matchAll(socketCaches))
    bytes += Number(objects) * Number(size);
  return bytes;
}
