import type { AskStunOptions, StunSighting } from './ask-stun.ts';
import type { Provider } from './provider.ts';
import type { StunServer } from './stun-server.ts';
import { filledTopology, type StunVerdicts, unknownAddresses } from './stun-topology.ts';
import { wrapProvider } from './wrap-provider.ts';

/**
 * The provider for a command that looks and opens no listener: STUN is asked about those addresses of which the
 * cloud says itself that it does not know (`publicUnknown`), and about no other, from a port of its own on each. The
 * agent, which may run beside it, has the listeners' ports and asks from those (`BoundStun`).
 */
export function withStun(provider: Provider, servers: readonly StunServer[]): Provider {
  return wrapProvider(provider, {
    async discover(context, signal) {
      const topology = await provider.discover(context, signal);
      const unknown = unknownAddresses(topology);
      const { clock } = context;
      const verdicts: StunVerdicts =
        unknown.length === 0 || servers.length === 0
          ? new Map()
          : await judgeFromOutside(unknown, { servers, clock, signal });
      return filledTopology(topology, verdicts, servers.length > 0);
    },
  });
}

/** Loaded by whoever has something to ask: most machines never do. */
async function judgeFromOutside(
  addresses: readonly string[],
  options: AskStunOptions,
): Promise<StunVerdicts> {
  const [{ askStunFromAnyPort }, { judgeSightings }] = await Promise.all([
    import('./ask-stun-from-any-port.ts'),
    import('./stun-verdict.ts'),
  ]);
  const sightings: StunSighting[] = await Promise.all(
    addresses.map((address) => askStunFromAnyPort(address, options)),
  );
  return judgeSightings(
    sightings,
    options.servers.map(({ text }) => text),
  );
}
