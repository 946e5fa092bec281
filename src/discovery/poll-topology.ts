import type { OsInterface } from '../net/os-interfaces.ts';
import { delay } from './delay.ts';
import { inTime } from './in-time.ts';
import type { DiscoveryContext } from './provider.ts';
import type { Topology } from './topology.ts';
import { sameTopology } from './topology-diff.ts';

export interface PollOptions {
  /** For the log. */
  readonly provider: string;
  readonly discover: (context: DiscoveryContext, signal: AbortSignal) => Promise<Topology>;
  readonly context: DiscoveryContext;
  readonly changed: (topology: Topology) => void;
  readonly signal: AbortSignal;
  /** What the caller runs with already. */
  readonly known: Topology | undefined;
  /**
   * The cloud's own pace, 15000 by default, give or take a tenth, so that a fleet started together does not ask
   * together. What the context says goes before it.
   */
  readonly intervalMs?: number;
  /** Called once with what has the cloud asked at once: for clouds that tell of changes by themselves. */
  readonly listen?: (awake: () => void) => void;
}

/**
 * Asks again and again until `signal` aborts and tells of differences.
 * A failing cloud is logged when it starts to fail and when it answers again, and nothing changes meanwhile.
 */
export async function pollTopology(options: PollOptions): Promise<void> {
  const { provider, discover, context, changed, signal, intervalMs = 15_000 } = options;
  const { clock, log } = context;
  let known = options.known;
  let owned = ownedOf(known, context.facts.interfaces);
  let failing = false;
  let woken = new AbortController();
  options.listen?.(() => woken.abort());
  for (;;) {
    // Read each time: the configuration may have changed meanwhile.
    const pauseMs = (context.pollIntervalMs ?? intervalMs) * (0.9 + 0.2 * Math.random());
    await delay(clock, pauseMs, AbortSignal.any([signal, woken.signal]));
    if (signal.aborted) return;
    woken = new AbortController();
    try {
      const interfaces = context.currentInterfaces?.() ?? context.facts.interfaces;
      const now = { ...context, facts: { ...context.facts, interfaces } };
      const ask = (ending: AbortSignal) => discover(now, ending);
      const topology = await inTime(`The provider ${provider}`, ask, { clock, signal });
      if (signal.aborted) return;
      if (failing) log.info({ provider }, 'discovery answers again');
      failing = false;
      const ownedNow = ownedOf(topology, interfaces);
      if (known && sameTopology(known, topology) && owned === ownedNow) continue;
      known = topology;
      owned = ownedNow;
      changed(topology);
    } catch (error) {
      if (signal.aborted) return;
      if (!failing)
        log.warn({ provider, err: error }, 'discovery fails; the last known topology stays in use');
      failing = true;
    }
  }
}

/** The topology's addresses that the operating system has, in one string that can be compared. */
function ownedOf(topology: Topology | undefined, interfaces: readonly OsInterface[]): string {
  const owned = new Set(interfaces.flatMap((device) => device.addresses.map(({ address }) => address)));
  const addresses = (topology?.interfaces ?? []).flatMap((nic) => nic.addresses);
  return addresses
    .map(({ privateAddress }) => privateAddress)
    .filter((address) => owned.has(address))
    .sort()
    .join();
}
