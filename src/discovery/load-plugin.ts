import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkedProvider } from './checked-provider.ts';
import { DiscoveryError } from './discovery-error.ts';
import { isPluginPath } from './plugin-path.ts';
import type { Provider } from './provider.ts';

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

function failure(message: string, cause?: unknown): DiscoveryError {
  return new DiscoveryError('discovery.plugin', message, { cause });
}
