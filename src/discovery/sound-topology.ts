import { familyOf } from '../net/address.ts';
import { isOneHost, scopeOf } from '../net/address-scope.ts';
import type { Provider } from './provider.ts';
import type { AddressMapping, Topology } from './topology.ts';
import { wrapProvider } from './wrap-provider.ts';

/** So many sentences about nonsense are enough to see that there is some. */
const MAX_NOTES = 8;

/**
 * The topology without what nobody can listen on or be reached at, whoever told it, and a note about each: an address
 * that no single host can have, one that two interfaces claim, a "local network" that is the whole internet.
 */
export function soundTopology(topology: Topology): Topology {
  const problems: string[] = [];
  const seen = new Set<string>();
  const sound = (mapping: AddressMapping): AddressMapping[] => {
    const { privateAddress, publicAddress, ...rest } = mapping;
    const isTwice = seen.has(privateAddress);
    seen.add(privateAddress);
    if (isTwice || !isOneHost(privateAddress)) {
      const why = isTwice ? 'for two of its interfaces' : 'which no host can have';
      problems.push(`${topology.provider} tells of the address ${privateAddress} ${why}: it is left out.`);
      return [];
    }
    if (publicAddress === undefined || mapping.provenance === 'config') return [mapping];
    if (publicAddress === privateAddress) return [{ privateAddress, ...rest }];
    if (familyOf(publicAddress) === familyOf(privateAddress) && canStandInFront(publicAddress))
      return [mapping];
    problems.push(
      `${topology.provider} says that ${publicAddress} stands in front of ${privateAddress}, where nobody could reach it: it is not advertised. Name the right one with --listen 'udp:${privateAddress} as PUBLIC'.`,
    );
    return [{ privateAddress, ...rest }];
  };
  const interfaces = topology.interfaces.map((nic) => ({ ...nic, addresses: nic.addresses.flatMap(sound) }));
  const localNetworks = topology.localNetworks.filter((network) => !network.endsWith('/0'));
  if (localNetworks.length < topology.localNetworks.length) {
    problems.push(
      `${topology.provider} calls every address a local one: that is left out, since everybody would be told the bound address. Name the networks with --local-network.`,
    );
  }
  if (problems.length === 0 && interfaces.every(isAsTold)) return topology;
  return { ...topology, interfaces, localNetworks, ...notesOf(topology, problems) };

  function isAsTold(nic: Topology['interfaces'][number], index: number): boolean {
    const told = topology.interfaces[index]!.addresses;
    return nic.addresses.every((mapping, place) => mapping === told[place]);
  }
}

/** The provider, with every topology that it tells made sound. */
export function soundProvider(provider: Provider): Provider {
  /** What the cloud said last, word for word: the provider compares with that. */
  let raw: Topology | undefined;
  return wrapProvider(provider, {
    async discover(context, signal) {
      raw = await provider.discover(context, signal);
      return soundTopology(raw);
    },
    watch(context, changed, signal, known) {
      provider.watch(context, (next) => changed(soundTopology((raw = next))), signal, raw ?? known);
    },
  });
}

function notesOf({ notes = [] }: Topology, problems: readonly string[]): Pick<Topology, 'notes'> {
  const more = problems.length - MAX_NOTES;
  const told = [
    ...notes,
    ...problems.slice(0, MAX_NOTES),
    ...(more > 0 ? [`And ${more} more of these.`] : []),
  ];
  return told.length > 0 ? { notes: told } : {};
}

/** A private one may: that of a cloud in a company's own network. */
function canStandInFront(address: string): boolean {
  return isOneHost(address) && !/^(loopback|link-local)$/.test(scopeOf(address));
}
