import type { Provider } from './provider.ts';

/** The provider with some of its answers made by `own`; all else that it has goes through to it. */
export function wrapProvider(
  provider: Provider,
  own: Partial<Pick<Provider, 'discover' | 'watch'>>,
): Provider {
  return {
    name: provider.name,
    ...(provider.origin !== undefined && { origin: provider.origin }),
    detect: (facts) => provider.detect(facts),
    discover: (...asked) => provider.discover(...asked),
    watch: (...watched) => provider.watch(...watched),
    ...(provider.watchNotices && { watchNotices: (...watched) => provider.watchNotices?.(...watched) }),
    ...(provider.examine && { examine: (...examined) => provider.examine!(...examined) }),
    ...own,
  };
}
