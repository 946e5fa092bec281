import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Makes the state directory (0700) where it does not exist. A directory that exists keeps its mode: it may be
 * one that others share, and the files in it are closed by their own modes.
 */
export function prepareStateDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(directory, 0o700);
  chmodSync(directory, 0o700);
}

/**
 * Level by level: Node's own `recursive` never returns where a directory exists in which none can be made, as
 * in /proc (mkdir(2) then says ENOENT for ever).
 */
function makeDirectory(directory: string, mode: number): void {
  const parent = dirname(directory);
  if (!existsSync(parent)) makeDirectory(parent, mode);
  mkdirSync(directory, mode);
}

/**
 * The path of a file in the state directory that only its owner can read (0600), made where it does not exist.
 * Where root makes it in a directory of the service's user, it becomes that user's: `sudo cloudsip user add`
 * before the first start must not lock the service out.
 */
export function preparePrivateFile(directory: string, name: string): string {
  const path = join(directory, name);
  const fresh = !existsSync(path);
  // The directory may belong to a less trusted user than the one who runs this: follow no link out of it.
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    fchmodSync(file, 0o600);
  } finally {
    closeSync(file);
  }
  if (fresh && process.geteuid?.() === 0) {
    const { uid, gid } = statSync(directory);
    if (uid !== 0) chownSync(path, uid, gid);
  }
  return path;
}
