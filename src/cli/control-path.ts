import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';

/** The name of the running agent's socket in the state directory. */
export const controlSocket = 'agent.sock';
/** sizeof(sun_path) without its end (unix(7)). */
const longestPath = 107;

/** A path to the socket that fits into a socket address, however long the directory's own is. */
export function openControlPath(stateDirectory: string): Disposable & { readonly path: string } {
  const path = join(stateDirectory, controlSocket);
  if (Buffer.byteLength(path) <= longestPath) return { path, [Symbol.dispose]: () => {} };
  const directory = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    path: join(`/proc/self/fd/${directory}`, controlSocket),
    [Symbol.dispose]: () => closeSync(directory),
  };
}
