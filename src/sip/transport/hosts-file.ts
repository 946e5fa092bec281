import { readFileSync } from 'node:fs';
import { familyOf, normalizeHost } from '../../net/address.ts';

/** Names in lower case and their addresses, in the order of the file. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** Reads hosts(5); lines that it does not understand are passed over. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!address || !familyOf(address)) continue;
    for (const name of names) {
      const key = normalizeHost(name);
      const addresses = hosts.get(key);
      if (!addresses) hosts.set(key, [normalizeHost(address)]);
      else if (!addresses.includes(normalizeHost(address))) addresses.push(normalizeHost(address));
    }
  }
  return hosts;
}

/** The hosts file of this machine; empty where there is none. */
export function readHostsFile(path = '/etc/hosts'): Hosts {
  try {
    return parseHosts(readFileSync(path, 'utf8'));
  } catch {
    return new Map();
  }
}
