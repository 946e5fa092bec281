import { closeSync, openSync, readSync } from 'node:fs';
import { normalizeHost } from './address.ts';

/** Far above what a machine has; a table of the size of the internet's is not read to its end. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Single addresses that the kernel takes for its own because a route of the type `local` says so. They can be bound
 * though no interface shows them: agents of clouds take up load balancers' addresses in this way
 * (`ip route add to local 203.0.113.9 dev ens4`). Those of interfaces are among them.
 */
export function readLocalRoutes(root = '/proc/net'): string[] {
  const found = [...ipv4Routes(readText(`${root}/fib_trie`)), ...ipv6Routes(readText(`${root}/ipv6_route`))];
  return [...new Set(found.map(normalizeHost))];
}

/** A leaf is `|-- 203.0.113.9` and beneath it one line for each route to it, `/32 host LOCAL`. */
function* ipv4Routes(text: string): Generator<string> {
  let address = '';
  for (const line of text.split('\n')) {
    const leaf = /^\s*\|-- ([\d.]+)$/.exec(line);
    if (leaf) address = leaf[1]!;
    else if (address !== '' && /^\s*\/32 host LOCAL$/.test(line)) yield address;
  }
}

const RTF_UP = 0x0001;
const RTF_ANYCAST = 0x0010_0000;
const RTF_LOCAL = 0x8000_0000;

/** Destination, length of its prefix, six fields that do not matter here, flags, interface: hexadecimal. */
function* ipv6Routes(text: string): Generator<string> {
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const flags = Number.parseInt(fields[8] ?? '', 16);
    if (fields[1] !== '80' || !(flags & RTF_UP) || !(flags & RTF_LOCAL) || flags & RTF_ANYCAST) continue;
    yield fields[0]!.match(/.{4}/g)!.join(':');
  }
}

function readText(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const chunks: Buffer[] = [];
      let bytes = 0;
      while (bytes < MAX_BYTES) {
        const chunk = Buffer.allocUnsafe(65_536);
        const read = readSync(file, chunk);
        if (read === 0) break;
        chunks.push(chunk.subarray(0, read));
        bytes += read;
      }
      return Buffer.concat(chunks).toString('latin1');
    } finally {
      closeSync(file);
    }
  } catch {
    // No Linux, or no such table: then nothing is there beside what interfaces show.
    return '';
  }
}
