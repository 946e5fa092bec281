import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Finding } from '../discovery/finding.ts';
import type { Patient } from './patient.ts';

const check = 'state-directory';

/** Whether the agent can keep its accounts, and nobody else can read them. */
export function checkStateDirectory({ configuration, machine, agent }: Patient): Finding[] {
  const directory = configuration.stateDirectory;
  const finding = (verdict: Finding['verdict'], evidence: string, remedy?: string): Finding[] => [
    { check, subject: directory, verdict, evidence, ...(remedy !== undefined && { remedy }) },
  ];
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      return finding('skip', `User ${machine.uid} may not look there: ${(error as Error).message}.`);
    }
    const parent = nearestExisting(directory);
    if (isWritable(parent)) return finding('pass', 'It is made at the first start.');
    return finding(
      'fail',
      `It does not exist, and user ${machine.uid} cannot make it in ${parent}.`,
      'Run cloudsip by its systemd unit or as root, or name a directory of this user: --state-dir DIR.',
    );
  }
  if (!stat.isDirectory()) {
    return finding('fail', 'It is no directory.', 'Move it away, or name another one: --state-dir DIR.');
  }
  if (stat.mode & 0o022 && !(stat.mode & 0o1000)) {
    return finding(
      'fail',
      `Others may write there (mode ${modeText(stat.mode)}): they could put accounts of their own in its place.`,
      `Close it:\n  chmod 0700 ${directory}`,
    );
  }
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return finding('skip', `It belongs to user ${stat.uid}, and user ${machine.uid} may not look inside.`);
  }
  const open = names.filter(
    (name) => (statSync(join(directory, name), { throwIfNoEntry: false })?.mode ?? 0) & 0o077,
  );
  if (open.length > 0 && stat.mode & 0o077) {
    return finding(
      'fail',
      `Others than its owner may read ${open.slice(0, 5).join(', ')} there: passwords and keys are kept in it.`,
      `Close them:\n  chmod -R go= ${directory}`,
    );
  }
  const keeper = agent?.uid ?? machine.uid;
  if (keeper !== 0 && stat.uid !== keeper) {
    const who = agent ? `cloudsip runs as user ${keeper}` : `this is user ${keeper}`;
    const verdict = agent ? 'fail' : 'skip';
    return finding(
      verdict,
      `It belongs to user ${stat.uid}, and ${who}.`,
      verdict === 'fail' ? `Give it to that user:\n  chown -R ${keeper} ${directory}` : undefined,
    );
  }
  if (agent === undefined && !isWritable(directory)) {
    return finding(
      'fail',
      `User ${machine.uid} cannot write there.`,
      'See whether the disk is mounted read-only, or name another one: --state-dir DIR.',
    );
  }
  return finding('pass', `It is writable, and only user ${stat.uid} reads what is kept there.`);
}

function nearestExisting(directory: string): string {
  const parent = dirname(directory);
  return parent === directory || statSync(parent, { throwIfNoEntry: false })
    ? parent
    : nearestExisting(parent);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
