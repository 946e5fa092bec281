import { DiscoveryError } from './discovery-error.ts';
import type { Provider } from './provider.ts';
import { withStun } from './stun-cross-check.ts';
import { parseStunServer, STUN_OFF, type StunServer } from './stun-server.ts';

/**
 * The providers as the configuration wants them: the foreign one loaded, where one was named, and each with the
 * cross-check by STUN round it. Rejects with `discovery.plugin` or `discovery.stun`.
 */
export async function prepareProviders(
  known: readonly Provider[],
  wish: { readonly provider: string; readonly stun: readonly string[] },
): Promise<readonly Provider[]> {
  const servers = stunServers(wish.stun);
  const { provider: wanted } = wish;
  if (wanted === 'auto' || known.some(({ name }) => name === wanted)) {
    return known.map((provider) => withStun(provider, servers));
  }
  const { loadPlugin } = await import('./load-plugin.ts');
  return [withStun(await loadPlugin(wanted), servers)];
}

function stunServers(texts: readonly string[]): StunServer[] {
  if (texts.includes(STUN_OFF)) return [];
  const servers = texts.map(parseStunServer);
  const usable = servers.filter((server) => server !== undefined);
  if (new Set(usable.map(({ host, port }) => `${host}:${port}`)).size >= 2) return usable;
  throw new DiscoveryError(
    'discovery.stun',
    `--stun: expected two servers or more, came ${texts.join(', ')}. One alone cannot show whether a NAT gateway is shared, and would be believed whatever it says: name a second one of another operator, or write --stun off.`,
  );
}
