import type { Provider } from './provider.ts';

/**
 * A provider of somebody else: what a module exports under the name `provider`. It is the same contract; without
 * `watch` of its own `discover` is asked every 15 seconds.
 */
export type ProviderPlugin = Omit<Provider, 'watch' | 'origin'> & Partial<Pick<Provider, 'watch'>>;
