import { isAbsolute } from 'node:path';

/** Whether what was written after --provider is the path of a module, and not a name. */
export function isPluginPath(text: string): boolean {
  return isAbsolute(text) || /^\.{1,2}\//.test(text);
}
