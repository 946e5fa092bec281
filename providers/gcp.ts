import type { MachineFacts } from '../src/discovery/machine-facts.ts';
import type { Provider } from '../src/discovery/provider.ts';

/**
 * Google Compute Engine, through its metadata server; the Compute API where that has no answer. All but the detection
 * is loaded when it is first asked.
 */
export const gcp: Provider = {
  name: 'gcp',
  detect,
  discover: async (context, signal) => (await import('./gcp/discover.ts')).discover(context, signal),
  watch(context, changed, signal, known) {
    const watching = import('./gcp/watch.ts').then(({ watch }) => watch(context, changed, signal, known));
    watching.catch((error: unknown) => {
      context.log.warn({ provider: 'gcp', err: error }, 'the cloud is not watched');
    });
  },
  watchNotices(context, notify, signal) {
    const watching = import('./gcp/notices.ts').then(({ watchNotices }) => {
      watchNotices(context, notify, signal);
    });
    watching.catch((error: unknown) => {
      context.log.warn({ provider: 'gcp', err: error }, 'notices are not watched');
    });
  },
  examine: async (context, examination, signal) =>
    (await import('./gcp/examine.ts')).examine(context, examination, signal),
};

/** "Detect if a VM is running in Compute Engine": by the product's name, in older images the vendor's. */
function detect({ dmi, interfaces }: MachineFacts): boolean {
  return (
    dmi['product_name'] === 'Google Compute Engine' ||
    (dmi['product_name'] === 'Google' && dmi['bios_vendor'] === 'Google') ||
    (dmi['bios_vendor'] === 'Google' && interfaces.some(({ mac }) => mac.startsWith('42:01:')))
  );
}
