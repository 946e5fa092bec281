import type { MachineFacts } from './machine-facts.ts';
import type { Provider } from './provider.ts';

/**
 * A provider whose code is loaded when it is first asked: every start would pay for all clouds otherwise, and no
 * machine stands in more than one. For providers that give no notices and examine nothing.
 */
export function lazyProvider(
  name: string,
  detect: (facts: MachineFacts) => boolean,
  load: () => Promise<Provider>,
): Provider {
  return {
    name,
    detect,
    discover: async (context, signal) => (await load()).discover(context, signal),
    watch(context, changed, signal, known) {
      const watching = load().then((provider) => {
        if (!signal.aborted) provider.watch(context, changed, signal, known);
      });
      watching.catch((error: unknown) => {
        context.log.warn({ provider: name, err: error }, 'the provider cannot be loaded: nothing is watched');
      });
    },
  };
}
