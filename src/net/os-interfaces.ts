import { networkInterfaces } from 'node:os';
import { type Family, familyOf } from './address.ts';
import { readLocalRoutes } from './local-routes.ts';

/** An address as the operating system has it. */
export interface OsAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: Family;
}

export interface OsInterface {
  readonly name: string;
  /** Lower case with colons; all zeros where the interface has none (loopback, tunnels). */
  readonly mac: string;
  /** True for loopback. */
  readonly internal: boolean;
  readonly addresses: readonly OsAddress[];
}

/** The shape of `os.networkInterfaces()`, so that tests can hand in machines. */
export type InterfaceList = Readonly<
  Record<
    string,
    | readonly {
        readonly address: string;
        readonly family: string;
        readonly mac: string;
        readonly internal: boolean;
        readonly cidr: string | null;
      }[]
    | undefined
  >
>;

/**
 * The interfaces that are up and have an address. A labelled address (`ens5:1`) is counted to its interface
 * (`ens5`): the label is a name for the address, not another device. Addresses that are the machine's by a route
 * alone are counted to the loopback interface.
 */
export function readOsInterfaces(
  list?: InterfaceList,
  localRoutes: readonly string[] = list ? [] : readLocalRoutes(),
): OsInterface[] {
  const found = new Map<string, { mac: string; internal: boolean; addresses: OsAddress[] }>();
  for (const [label, entries] of Object.entries(list ?? networkInterfaces())) {
    const name = label.split(':', 1)[0]!;
    for (const entry of entries ?? []) {
      let device = found.get(name);
      if (!device) {
        device = { mac: entry.mac.toLowerCase(), internal: entry.internal, addresses: [] };
        found.set(name, device);
      }
      const family = entry.family === 'IPv4' ? 'ipv4' : 'ipv6';
      const width = family === 'ipv4' ? 32 : 128;
      const prefix = entry.cidr?.split('/')[1];
      device.addresses.push({
        address: entry.address,
        prefixLength: prefix === undefined ? width : Number(prefix),
        family,
      });
    }
  }
  const shown = new Set(
    [...found.values()].flatMap((device) => device.addresses.map(({ address }) => address)),
  );
  const loopback = [...found.values()].find((device) => device.internal);
  for (const route of localRoutes) {
    if (shown.has(route)) continue;
    const family = familyOf(route)!;
    loopback?.addresses.push({ address: route, prefixLength: family === 'ipv4' ? 32 : 128, family });
  }
  return [...found].map(([name, device]) => ({ name, ...device }));
}
