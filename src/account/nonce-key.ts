import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { preparePrivateFile, prepareStateDirectory } from '../state-directory.ts';

export const nonceKeyFile = 'nonce.key';
const keyBytes = 32;

/**
 * The key that nonces are signed with, kept in the state directory (0600), so that a restart does not make every
 * phone authenticate anew. Where it can be neither read nor kept a key for this run does as well: clients then
 * meet `stale=true` once after a restart.
 */
export function loadNonceKey(stateDir: string): Buffer {
  try {
    prepareStateDirectory(stateDir);
    const path = preparePrivateFile(stateDir, nonceKeyFile);
    const kept = readFileSync(path);
    if (kept.length === keyBytes) return kept;
    const key = randomBytes(keyBytes);
    writeFileSync(path, key);
    return key;
  } catch {
    return randomBytes(keyBytes);
  }
}
