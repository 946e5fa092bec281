import type { Clock, Timer } from '../net/clock.ts';
import { topologyProblems } from './check-topology.ts';
import type { Finding } from './finding.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import type { Topology } from './topology.ts';
import { sameTopology } from './topology-diff.ts';

/** What a provider may be handed: nothing in it is promised to be there, or to make sense. */
const STRANGE_MACHINES: readonly MachineFacts[] = [
  { dmi: {}, interfaces: [] },
  { dmi: { sys_vendor: '', product_name: '\u0000', chassis_asset_tag: 'x'.repeat(4096) }, interfaces: [] },
  { dmi: { sys_vendor: 'QEMU', product_name: 'Standard PC (Q35 + ICH9, 2009)' }, interfaces: [] },
];

/** Asking may take this long altogether; whoever wants to stop does not wait. */
const LIMITS = { discoverMs: 30_000, stopMs: 2000 };
type Limits = typeof LIMITS;

/**
 * Whether a provider keeps the contract, as far as running it shows: on this machine, against whatever metadata
 * service `context` leads it to. One finding for each rule, none of which rejects.
 */
export async function* examineProvider(
  provider: Provider,
  context: DiscoveryContext,
  limits: Limits = LIMITS,
): AsyncGenerator<Finding, void, void> {
  yield examineDetection(provider, context.facts);
  const { finding, topology } = await examineDiscovery(provider, context, limits);
  yield finding;
  if (topology) {
    yield examineValue(topology, provider.name);
    yield await examineRepetition(provider, context, topology, limits);
  }
  yield await examineStop(provider, context, limits);
  yield await examineWatch(provider, context, topology, limits);
}

function examineDetection(provider: Provider, facts: MachineFacts): Finding {
  const check = 'detect';
  try {
    for (const machine of [facts, ...STRANGE_MACHINES]) {
      const found: unknown = provider.detect(machine);
      if (typeof found !== 'boolean') {
        const evidence = `detect gave ${shown(found)} where true or false was expected.`;
        return { check, verdict: 'fail', evidence, remedy: 'Answer at once, from the facts alone.' };
      }
      if (found !== provider.detect(machine)) {
        const evidence = 'detect gave two answers for one machine.';
        return { check, verdict: 'fail', evidence, remedy: 'Answer from the facts alone.' };
      }
    }
    if (provider.name === 'local' || !provider.detect(STRANGE_MACHINES[0]!)) {
      return { check, verdict: 'pass', evidence: 'It answers at once, for strange machines too.' };
    }
  } catch (error) {
    const remedy = 'Every fact may be missing: write dmi["sys_vendor"] === "…".';
    return { check, verdict: 'fail', evidence: `detect throws: ${reasonOf(error)}.`, remedy };
  }
  return {
    check,
    verdict: 'warn',
    evidence: 'detect recognises a machine that says nothing about itself.',
    remedy: 'Return false unless something names the cloud; the provider can still be taken by name.',
  };
}

async function examineDiscovery(
  provider: Provider,
  context: DiscoveryContext,
  { discoverMs }: Limits,
): Promise<{ finding: Finding; topology?: Topology }> {
  const check = 'discover';
  const startedAt = performance.now();
  try {
    const topology = await within(discoverMs, provider.discover(context, new AbortController().signal));
    const ms = Math.round(performance.now() - startedAt);
    const problems = topologyProblems(topology, provider.name);
    if (problems.length === 0) {
      const addresses = topology.interfaces.reduce((sum, nic) => sum + nic.addresses.length, 0);
      const evidence = `It gave ${topology.interfaces.length} interfaces with ${addresses} addresses in ${ms} ms.`;
      return { finding: { check, verdict: 'pass', evidence }, topology };
    }
    const evidence = `discover gave a topology that cannot be used: ${problems.slice(0, 5).join('; ')}.`;
    return { finding: { check, verdict: 'fail', evidence, remedy: 'See docs/providers.md for its shape.' } };
  } catch (error) {
    const evidence = `discover failed: ${reasonOf(error)}`;
    const remedy =
      'Run this where the cloud answers, or lead the provider to a stand-in by a variable of its own.';
    return { finding: { check, verdict: 'fail', evidence, remedy } };
  }
}

/** Topologies are compared, printed as JSON and kept: they must be plain values. */
function examineValue(topology: Topology, name: string): Finding {
  const check = 'plain-value';
  try {
    const copy = JSON.parse(JSON.stringify(topology)) as Topology;
    if (sameTopology(copy, topology) && topologyProblems(copy, name).length === 0) {
      return { check, verdict: 'pass', evidence: 'The topology is a plain value.' };
    }
  } catch {
    // Not even JSON.
  }
  return {
    check,
    verdict: 'fail',
    evidence: 'The topology is not the same after it went through JSON.',
    remedy: 'Build it from objects, lists, texts, numbers and booleans alone.',
  };
}

async function examineRepetition(
  provider: Provider,
  context: DiscoveryContext,
  first: Topology,
  { discoverMs }: Limits,
): Promise<Finding> {
  const check = 'repeatable';
  try {
    const again = await within(discoverMs, provider.discover(context, new AbortController().signal));
    if (sameTopology(first, again)) {
      return { check, verdict: 'pass', evidence: 'Asked again, the provider says the same.' };
    }
  } catch (error) {
    const evidence = `Asked again, discover failed: ${reasonOf(error)}`;
    return {
      check,
      verdict: 'warn',
      evidence,
      remedy: 'Run this again to see whether that happens each time.',
    };
  }
  return {
    check,
    verdict: 'fail',
    evidence: 'Asked again at once, the provider says something else.',
    remedy:
      'Leave out what changes by itself (times, counters): each difference has the listeners planned anew.',
  };
}

async function examineStop(
  provider: Provider,
  context: DiscoveryContext,
  { stopMs }: Limits,
): Promise<Finding> {
  const check = 'stop';
  for (const when of ['before', 'while'] as const) {
    const abort = new AbortController();
    if (when === 'before') abort.abort();
    const asked = Promise.resolve()
      .then(() => provider.discover(context, abort.signal))
      .catch(() => {});
    if (when === 'while') setImmediate(() => abort.abort());
    try {
      await within(stopMs, asked);
    } catch {
      return {
        check,
        verdict: 'fail',
        evidence: `discover did not end within ${stopMs} ms although its signal was aborted ${when} it ran.`,
        remedy: 'Hand the signal on to everything that waits: fetch(url, { signal }).',
      };
    }
  }
  return { check, verdict: 'pass', evidence: 'Asking ends when its signal is aborted.' };
}

async function examineWatch(
  provider: Provider,
  context: DiscoveryContext,
  known: Topology | undefined,
  { stopMs }: Limits,
): Promise<Finding> {
  const check = 'watch';
  const clock = new CountingClock(context.clock);
  const abort = new AbortController();
  const watched = { ...context, clock };
  try {
    provider.watch(watched, () => {}, abort.signal, known);
    provider.watchNotices?.(watched, () => {}, abort.signal);
    await pause(20);
  } catch (error) {
    return {
      check,
      verdict: 'fail',
      evidence: `watch throws: ${reasonOf(error)}.`,
      remedy: 'Errors while watching are logged by context.log.warn and survived.',
    };
  } finally {
    abort.abort();
  }
  for (let waited = 0; clock.pending > 0 && waited < stopMs; waited += 50) await pause(50);
  if (clock.pending === 0) {
    return {
      check,
      verdict: 'pass',
      evidence: 'It ends when its signal is aborted, and leaves no timer.',
    };
  }
  return {
    check,
    verdict: 'fail',
    evidence: `watch left ${clock.pending} timers although its signal was aborted.`,
    remedy: 'Cancel what context.clock.schedule gave when the signal aborts.',
  };
}

/** Counts what is scheduled and neither fired nor cancelled. */
class CountingClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#clock.now();
  }

  uptime(): number {
    return this.#clock.uptime();
  }

  schedule(callback: () => void, delayMs: number): Timer {
    const timer = this.#clock.schedule(() => {
      this.#timers.delete(timer);
      callback();
    }, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    this.#timers.delete(timer);
    this.#clock.cancel(timer);
  }
}

/** By the system's own timers: the provider's clock is under examination. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function within<Result>(ms: number, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500);
}

function shown(value: unknown): string {
  return value instanceof Promise ? 'a promise' : String(JSON.stringify(value)).slice(0, 60);
}
