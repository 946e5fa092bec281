import type { OsInterface } from '../../src/net/os-interfaces.ts';

/**
 * The operating system's name of the interface with this MAC. VLANs, bonds and macvlans share their parent's:
 * the one that has an address of this interface wins.
 */
export function osNameOf(
  mac: string,
  privateAddresses: readonly string[],
  osInterfaces: readonly OsInterface[],
): string | undefined {
  const sameMac = osInterfaces.filter((device) => device.mac === mac && !device.internal);
  const known = new Set(privateAddresses);
  const owner = sameMac.find((device) => device.addresses.some(({ address }) => known.has(address)));
  return (owner ?? sameMac[0])?.name;
}
