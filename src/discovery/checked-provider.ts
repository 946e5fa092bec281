import { isNotice } from './check-notice.ts';
import { topologyProblems } from './check-topology.ts';
import { DiscoveryError } from './discovery-error.ts';
import type { Finding, Verdict } from './finding.ts';
import { inTime } from './in-time.ts';
import { joinOsInterfaces } from './join-os-interfaces.ts';
import { pollTopology } from './poll-topology.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import type { ProviderPlugin } from './provider-plugin.ts';
import type { Topology } from './topology.ts';

const EXAMINE_LIMIT_MS = 60_000;
const VERDICTS: Readonly<Record<Verdict, true>> = { pass: true, warn: true, fail: true, skip: true };

/** Checks the contract and guards what the plugin does: its errors, its topologies and its notices are foreign. */
export function checkedProvider(value: unknown, specifier: string): Provider {
  const problems = contractProblems(value);
  if (problems.length > 0) {
    throw failure(
      `The provider ${specifier} does not keep the contract: ${problems.join('; ')}. See docs/providers.md.`,
    );
  }
  const plugin = value as ProviderPlugin;
  const { name } = plugin;

  const checked = (told: Topology, { facts, currentInterfaces }: DiscoveryContext): Topology => {
    // A value of our own: what the plugin does with its one later changes nothing here.
    const topology = copyOf(told, name);
    const [first, ...more] = topologyProblems(topology, name);
    if (first === undefined) {
      const own = currentInterfaces?.() ?? facts.interfaces;
      return { ...topology, interfaces: joinOsInterfaces(topology.interfaces, own) };
    }
    const others = more.length > 0 ? ` and ${more.length} more` : '';
    throw failure(`The provider ${name} gave a topology that cannot be used: ${first}${others}.`);
  };
  const discover = async (context: DiscoveryContext, signal: AbortSignal): Promise<Topology> => {
    try {
      return checked(await plugin.discover(context, signal), context);
    } catch (error) {
      throw asDiscoveryError(name, error);
    }
  };
  const examine: Provider['examine'] = async (context, examination, signal) => {
    const ask = async (ending: AbortSignal) => plugin.examine!(context, examination, ending);
    const limits = { clock: context.clock, signal, limitMs: EXAMINE_LIMIT_MS };
    const findings: unknown = await inTime(`The provider ${name}`, ask, limits);
    if (Array.isArray(findings) && findings.every(isFinding)) return findings;
    throw failure(`The provider ${name} gave findings that cannot be used. See docs/providers.md.`);
  };

  return {
    name,
    origin: specifier,
    detect: (facts) => plugin.detect(facts),
    discover,
    watch(context, changed, signal, known) {
      if (!plugin.watch) {
        void pollTopology({ provider: name, discover, context, changed, signal, known });
        return;
      }
      // Told once until it does better: it may call as often as it likes.
      let failing = false;
      const take = (told: Topology): void => {
        if (signal.aborted) return;
        let topology: Topology;
        try {
          topology = checked(told, context);
        } catch (error) {
          if (!failing) {
            context.log.warn({ provider: name, err: error }, 'a change that cannot be used; nothing changes');
          }
          failing = true;
          return;
        }
        failing = false;
        changed(topology);
      };
      survive(context, name, 'the cloud is not watched', () => plugin.watch!(context, take, signal, known));
    },
    ...(plugin.watchNotices && {
      watchNotices(context, notify, signal) {
        let failing = false;
        const take = (told: unknown): void => {
          if (signal.aborted) return;
          if (isNotice(told)) notify({ ...told });
          else if (!failing) context.log.warn({ provider: name }, 'a notice that cannot be used is left out');
          failing = !isNotice(told);
        };
        survive(context, name, 'notices are not watched', () => plugin.watchNotices!(context, take, signal));
      },
    }),
    ...(plugin.examine && { examine }),
  };
}

/** Runs what may throw, or give a promise that rejects although none is expected: neither ends the process. */
function survive({ log }: DiscoveryContext, provider: string, then: string, run: () => unknown): void {
  const tell = (error: unknown): void =>
    log.warn({ provider, err: asDiscoveryError(provider, error) }, `the provider failed: ${then}`);
  try {
    Promise.resolve(run()).catch(tell);
  } catch (error) {
    tell(error);
  }
}

function copyOf(topology: Topology, name: string): Topology {
  try {
    return structuredClone(topology);
  } catch (error) {
    throw failure(
      `The provider ${name} gave a topology that cannot be used: expected a plain value, found what cannot be copied.`,
      error,
    );
  }
}

function isFinding(value: unknown): value is Finding {
  if (typeof value !== 'object' || value === null) return false;
  const { check, subject, verdict, evidence, remedy } = value as Record<string, unknown>;
  return (
    [check, evidence].every((text) => typeof text === 'string') &&
    [subject, remedy].every((text) => text === undefined || typeof text === 'string') &&
    typeof verdict === 'string' &&
    Object.hasOwn(VERDICTS, verdict)
  );
}

/** What a module lacks to be a provider, as parts of a sentence. */
function contractProblems(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) {
    return [
      `expected a named export "provider" with an object, found ${value === null ? 'null' : typeof value}`,
    ];
  }
  const provider = value as Record<string, unknown>;
  const problems: string[] = [];
  const { name } = provider;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]{0,63}$/.test(name) || name === 'auto') {
    problems.push(
      `expected a "name" in lower case, found ${JSON.stringify(name)?.slice(0, 60) ?? typeof name}`,
    );
  }
  for (const [key, needed] of [
    ['detect', true],
    ['discover', true],
    ['watch', false],
    ['watchNotices', false],
    ['examine', false],
  ] as const) {
    const member = provider[key];
    if (typeof member === 'function' || (!needed && member === undefined)) continue;
    problems.push(`expected a function "${key}", found ${typeof member}`);
  }
  return problems;
}

function asDiscoveryError(name: string, error: unknown): DiscoveryError {
  if (error instanceof DiscoveryError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return failure(`The provider ${name} failed: ${reason.slice(0, 300)}`, error);
}

function failure(message: string, cause?: unknown): DiscoveryError {
  return new DiscoveryError('discovery.plugin', message, { cause });
}
