import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file below /proc or /sys, trimmed; undefined where there is none or it may not be read. */
export function kernelSetting(root: string, path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8').trim();
  } catch {
    return undefined;
  }
}
