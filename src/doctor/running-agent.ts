import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A cloudsip that is serving on this machine. */
export interface RunningAgent {
  readonly pid: number;
  /** The user that it runs as. */
  readonly uid: number;
}

/**
 * The agent of this machine, found by its command line, which every user may read. One that lives in a network of
 * its own, in a container, is another machine's.
 */
export function findRunningAgent(root: string, ownPid: number = process.pid): RunningAgent | undefined {
  for (const name of listOf(join(root, 'proc'))) {
    if (!/^\d+$/.test(name) || Number(name) === ownPid) continue;
    const words = read(join(root, 'proc', name, 'cmdline'))?.split('\0') ?? [];
    const at = words.findIndex((word) => isOurProgram(root, word));
    if (at < 0 || namesCommand(words.slice(at + 1))) continue;
    const network = networkOf(root, name);
    if (network !== undefined && network !== networkOf(root, 'self')) continue;
    try {
      return { pid: Number(name), uid: statSync(join(root, 'proc', name)).uid };
    } catch {
      // It has just ended.
    }
  }
  return undefined;
}

/** Whether a word stands there that is neither a flag nor its value: the agent has none, its commands begin so. */
function namesCommand(words: readonly string[]): boolean {
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (!word.startsWith('-')) {
      if (word !== '') return true;
    } else if (!word.includes('=')) {
      index++;
    }
  }
  return false;
}

/** `…/src/main.ts` or `…/dist/src/main.js` in a package of our name. */
function isOurProgram(root: string, word: string): boolean {
  const directory = /^(.*?)(?:\/dist)?\/src\/main\.[jt]s$/.exec(word)?.[1];
  if (directory === undefined) return false;
  const manifest = read(join(root, directory, 'package.json'));
  return manifest !== undefined && /"name":\s*"cloudsip"/.test(manifest);
}

/** Which network a process lives in; undefined where this user may not know. */
function networkOf(root: string, pid: string): string | undefined {
  try {
    return readlinkSync(join(root, 'proc', pid, 'ns/net'));
  } catch {
    return undefined;
  }
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
