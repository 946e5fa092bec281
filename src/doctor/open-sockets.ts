import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { addressAt } from '../net/sockaddr.ts';
import { kernelSetting } from './kernel-setting.ts';

/** A socket of this machine that is bound, and for TCP listens. */
export interface OpenSocket {
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

const LISTENING = '0A';

/** The sockets in the kernel's tables, `/proc/net/udp` and its kin. */
export function readOpenSockets(root: string, protocol: 'udp' | 'tcp'): OpenSocket[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const table = kernelSetting(root, `proc/net/${protocol}${family === 'ipv4' ? '' : '6'}`) ?? '';
    return table
      .split('\n')
      .slice(1)
      .flatMap((line): OpenSocket[] => {
        const fields = line.trim().split(/\s+/);
        const [hex = '', port = ''] = fields[1]?.split(':') ?? [];
        if (hex === '' || (protocol === 'tcp' && fields[3] !== LISTENING)) return [];
        const words = new Int32Array(7);
        // Each word of eight digits as this little-endian machine has it in memory.
        const at = family === 'ipv4' ? 1 : 2;
        for (let i = 0; i * 8 < hex.length; i++) {
          words[at + i] = Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16) | 0;
        }
        return [
          {
            address: addressAt(family, words, 0),
            port: Number.parseInt(port, 16),
            uid: Number(fields[7]),
            inode: fields[9] ?? '',
          },
        ];
      });
  });
}

export interface SocketOwner {
  readonly pid: number;
  /** The kernel's name of the program, at most 15 characters. */
  readonly program: string;
}

/** Who holds these sockets, as far as this user may see: only root sees what others hold. */
export function findSocketOwners(root: string, inodes: ReadonlySet<string>): Map<string, SocketOwner> {
  const owners = new Map<string, SocketOwner>();
  if (inodes.size === 0) return owners;
  for (const name of listOf(join(root, 'proc'))) {
    if (!/^\d+$/.test(name)) continue;
    for (const fd of listOf(join(root, 'proc', name, 'fd'))) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(join(root, 'proc', name, 'fd', fd)))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      owners.set(inode, { pid: Number(name), program: kernelSetting(root, `proc/${name}/comm`) ?? '?' });
    }
  }
  return owners;
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
