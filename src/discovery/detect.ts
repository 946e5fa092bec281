import { DiscoveryError, quoted } from './discovery-error.ts';
import { inTime } from './in-time.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import type { Topology } from './topology.ts';

export interface Discovery {
  readonly provider: Provider;
  readonly topology: Topology;
}

/**
 * The provider of that name, or for `auto` the first that recognises the machine, `local` last.
 * Throws `discovery.unknown-provider`, or `discovery.undetected` where nothing recognises it.
 */
export function selectProvider(providers: readonly Provider[], name: string, facts: MachineFacts): Provider {
  if (name !== 'auto') {
    const named = providers.find((provider) => provider.name === name || provider.origin === name);
    if (named) return named;
    const known = ['auto', ...providers.map((provider) => provider.name)].join(', ');
    throw new DiscoveryError(
      'discovery.unknown-provider',
      `There is no provider ${quoted(name)}. Known ones: ${known}. Write one of them after --provider.`,
    );
  }
  const clouds = providers.filter((provider) => provider.name !== 'local');
  const found = clouds.find((provider) => provider.detect(facts));
  const local = providers.find((provider) => provider.name === 'local');
  if (found ?? local) return (found ?? local)!;
  throw new DiscoveryError(
    'discovery.undetected',
    'No provider recognises this machine. Name one with --provider.',
  );
}

/**
 * Selects a provider and asks it. On a machine that `auto` knows to stand in a cloud, a silent metadata
 * service is an error and never `local` by stealth: calls would be set up with addresses that no caller reaches.
 */
export async function discover(
  providers: readonly Provider[],
  name: string,
  context: DiscoveryContext,
  signal: AbortSignal,
): Promise<Discovery> {
  const provider = selectProvider(providers, name, context.facts);
  try {
    const ask = (ending: AbortSignal) => provider.discover(context, ending);
    const topology = await inTime(`The provider ${provider.name}`, ask, { clock: context.clock, signal });
    return { provider, topology };
  } catch (error) {
    if (name !== 'auto' || !(error instanceof DiscoveryError) || error.code === 'discovery.aborted')
      throw error;
    throw new DiscoveryError(
      error.code,
      `${error.message} This machine is one of ${provider.name}'s, so its private addresses are not advertised in place of the public ones. To run without the cloud's answer write --provider local --advertise HOST (HOST is the public address or a name for it), or map the addresses under "static" with --provider static, or write --provider local alone to advertise nothing.`,
      { cause: error },
    );
  }
}
