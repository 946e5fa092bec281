import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { topologyProblems } from './check-topology.ts';
import { DiscoveryError } from './discovery-error.ts';
import { joinOsInterfaces } from './join-os-interfaces.ts';
import { isPluginPath } from './plugin-path.ts';
import { pollTopology } from './poll-topology.ts';
import type { DiscoveryContext, Provider } from './provider.ts';
import type { ProviderPlugin } from './provider-plugin.ts';
import type { Topology } from './topology.ts';

/**
 * Loads a provider from a module: a path, absolute or from `directory`, or the name of an npm package that is
 * installed there or beside cloudsip. Rejects with `discovery.plugin`.
 */
export async function loadPlugin(specifier: string, directory: string = process.cwd()): Promise<Provider> {
  let module: Record<string, unknown>;
  try {
    module = await load(specifier, directory);
  } catch (error) {
    throw unloadable(specifier, error);
  }
  return checkedProvider(module['provider'], specifier);
}

async function load(specifier: string, directory: string): Promise<Record<string, unknown>> {
  if (isPluginPath(specifier)) {
    return (await import(pathToFileURL(resolve(directory, specifier)).href)) as Record<string, unknown>;
  }
  // A package is looked for as if a module in the directory asked for it.
  const parentURL = pathToFileURL(join(directory, 'index.js')).href;
  const hooks = registerHooks({
    resolve: (name, context, next) => next(name, name === specifier ? { ...context, parentURL } : context),
  });
  try {
    return (await import(specifier)) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
  } finally {
    hooks.deregister();
  }
  // Not there: beside cloudsip then, as npm puts packages that are installed together.
  return (await import(specifier)) as Record<string, unknown>;
}

function unloadable(specifier: string, error: unknown): DiscoveryError {
  const { code, message } = error as NodeJS.ErrnoException;
  const what = `The provider ${specifier} cannot be loaded: expected a module`;
  const first = (message ?? String(error)).split('\n', 1)[0]!.slice(0, 300);
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') {
    return failure(
      `${what} of JavaScript, came TypeScript below node_modules, where Node does not run it. A package ships JavaScript: build it before it is published.`,
      error,
    );
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ENOENT') {
    const where = isPluginPath(specifier)
      ? 'Check the path; it starts at the working directory.'
      : 'Install it with npm where cloudsip is started or beside cloudsip, or write a path such as ./mine.ts.';
    return failure(`${what} there, came "${first}". ${where}`, error);
  }
  return failure(`${what} that loads, came "${first}". Run it with "node" to see where.`, error);
}

/** Checks the contract and guards what the plugin does: its errors and its topologies are foreign. */
export function checkedProvider(value: unknown, specifier: string): Provider {
  const problems = contractProblems(value);
  if (problems.length > 0) {
    throw failure(
      `The provider ${specifier} does not keep the contract: ${problems.join('; ')}. See docs/providers.md.`,
    );
  }
  const plugin = value as ProviderPlugin;
  const { name } = plugin;
  const checked = (topology: Topology, { facts, currentInterfaces }: DiscoveryContext): Topology => {
    const [first, ...more] = topologyProblems(topology, name);
    if (first === undefined) {
      const own = currentInterfaces?.() ?? facts.interfaces;
      return { ...topology, interfaces: joinOsInterfaces(topology.interfaces, own) };
    }
    const others = more.length > 0 ? ` and ${more.length} more` : '';
    throw failure(`The provider ${name} gave a topology that cannot be used: ${first}${others}.`);
  };
  const discover = async (context: DiscoveryContext, signal: AbortSignal): Promise<Topology> => {
    let topology: Topology;
    try {
      topology = await plugin.discover(context, signal);
    } catch (error) {
      if (error instanceof DiscoveryError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw failure(`The provider ${name} failed: ${reason.slice(0, 300)}`, error);
    }
    return checked(topology, context);
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
      const take = (topology: Topology): void => {
        try {
          changed(checked(topology, context));
        } catch (error) {
          context.log.warn({ provider: name, err: error }, 'a change that cannot be used; nothing changes');
        }
      };
      plugin.watch(context, take, signal, known);
    },
    ...(plugin.watchNotices && {
      watchNotices: (context, notify, signal) => plugin.watchNotices?.(context, notify, signal),
    }),
    ...(plugin.examine && {
      examine: async (context, examination, signal) => plugin.examine!(context, examination, signal),
    }),
  };
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

function failure(message: string, cause?: unknown): DiscoveryError {
  return new DiscoveryError('discovery.plugin', message, { cause });
}
