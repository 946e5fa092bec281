import { isAbsolute, join, resolve } from 'node:path';

/** What a default may depend on. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  readonly homeDirectory: string;
}

/** Where the state lies when nobody says where: what systemd made for the unit, else the usual places. */
export function defaultStateDirectory({ env, isRoot, homeDirectory }: Machine): string {
  // systemd.exec(5): several directories are parted by colons.
  const fromSystemd = env['STATE_DIRECTORY']?.split(':')[0];
  if (fromSystemd) return resolve(fromSystemd);
  if (isRoot) return '/var/lib/cloudsip';
  // XDG Base Directory Specification: a relative path is invalid and has to be ignored.
  const fromXdg = env['XDG_STATE_HOME'];
  return join(fromXdg && isAbsolute(fromXdg) ? fromXdg : join(homeDirectory, '.local/state'), 'cloudsip');
}
