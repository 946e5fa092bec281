import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runProgram } from '../support/process.ts';

const root = join(import.meta.dirname, '../..');

/** The packages of the clouds' SDKs among the dependencies. */
export const sdkPackages: readonly string[] = readDependencies().filter((name) =>
  /^@(aws-sdk|azure|google-cloud)\//.test(name),
);

/** cloudsip as npm installs it, in a directory of its own. */
export interface Installation extends AsyncDisposable {
  /** What `npm start` runs. */
  readonly launcher: string;
}

/** Builds the sources as they are and lays them out beside the dependencies, without those that are `hidden`. */
export async function install(hidden: readonly string[] = []): Promise<Installation> {
  const directory = await mkdtemp(join(tmpdir(), 'cloudsip-installation-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const arguments_ = ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(directory, 'dist')];
    await runProgram(join(root, 'node_modules/.bin/tsc'), arguments_);
    cpSync(join(root, 'package.json'), join(directory, 'package.json'));
    mkdirSync(join(directory, 'src'));
    cpSync(join(root, 'src/cloudsip'), join(directory, 'src/cloudsip'));
    for (const name of readDependencies()) {
      if (hidden.includes(name) || !isInstalled(name)) continue;
      const link = join(directory, 'node_modules', name);
      mkdirSync(dirname(link), { recursive: true });
      // A package finds what it needs itself beside where it really lies.
      symlinkSync(join(root, 'node_modules', name), link);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { launcher: join(directory, 'src/cloudsip'), [Symbol.asyncDispose]: remove };
}

function readDependencies(): string[] {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const { dependencies, optionalDependencies } = JSON.parse(text) as Record<
    'dependencies' | 'optionalDependencies',
    Record<string, string>
  >;
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)];
}

/** Optional ones are there for one architecture alone. */
function isInstalled(name: string): boolean {
  const path = join(root, 'node_modules', name);
  return readdirSync(dirname(path)).includes(name.split('/').at(-1)!);
}
