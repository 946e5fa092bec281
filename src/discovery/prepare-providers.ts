import type { Provider } from './provider.ts';
import { soundProvider } from './sound-topology.ts';
import { withStun } from './stun-cross-check.ts';
import { stunServers } from './stun-server.ts';

interface Wish {
  readonly provider: string;
  readonly stun: readonly string[];
}

/**
 * The providers as the configuration wants them: the foreign one loaded, where one was named, and what each tells
 * taken as far as it makes sense. Rejects with `discovery.plugin` or `discovery.stun`.
 */
export async function prepareProviders(
  known: readonly Provider[],
  { provider: wanted, stun }: Wish,
): Promise<readonly Provider[]> {
  // What cannot be asked later is told now.
  stunServers(stun);
  if (wanted === 'auto' || known.some(({ name }) => name === wanted)) return known.map(soundProvider);
  const { loadPlugin } = await import('./load-plugin.ts');
  return [soundProvider(await loadPlugin(wanted))];
}

/** The same for commands that open no listener: each asks STUN itself where its cloud cannot tell. */
export async function prepareAskingProviders(
  known: readonly Provider[],
  wish: Wish,
): Promise<readonly Provider[]> {
  const servers = stunServers(wish.stun);
  const prepared = await prepareProviders(known, wish);
  return prepared.map((provider) => withStun(provider, servers));
}
