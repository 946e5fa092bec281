import { homedir } from 'node:os';
import { CloudsipError } from '../error.ts';
import { parseArguments } from './arguments.ts';
import type { CommandName } from './commands.ts';
import type { Configuration } from './configuration.ts';
import { type FileEntry, type FileValues, parseConfigurationFile } from './configuration-file.ts';
import type { Machine } from './default-state-directory.ts';
import { helpText } from './help.ts';
import { type AnyOption, flagOf, optionList, options, variableOf } from './options.ts';
import { didYouMean, nearest } from './suggestion.ts';
import { UsageError, type UsageErrorCode } from './usage-error.ts';

/** What the person asked for. */
export type Invocation =
  | {
      readonly kind: 'run';
      readonly configuration: Configuration;
      /** Sentences about what was given and has no effect; for the log. */
      readonly warnings: readonly string[];
    }
  | {
      /** A command. */
      readonly kind: Exclude<CommandName, 'help'>;
      readonly configuration: Configuration;
      /** What follows its name, without the options that are the agent's. */
      readonly arguments: readonly string[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

type Environment = Readonly<Record<string, string | undefined>>;

/** What is known of the machine and of the plugins; each has a default. */
export interface ReadContext {
  /** The registered providers' names: others are refused with the nearest. */
  readonly providers?: readonly string[];
  readonly isRoot?: boolean;
  readonly homeDirectory?: string;
}

interface Given extends FileEntry {
  readonly code: UsageErrorCode;
}

/**
 * Reads what was asked for. For each option: flag, else environment variable, else configuration file, else
 * default. `readFile` is called only for a configuration file. Rejects with a `UsageError`.
 */
export async function readConfiguration(
  argv: readonly string[],
  env: Environment,
  readFile: (path: string) => string | Promise<string>,
  context: ReadContext = {},
): Promise<Invocation> {
  const parsed = parseArguments(argv);
  if (parsed.help) return { kind: 'help', text: helpText() };
  if (parsed.version) return { kind: 'version' };
  if (parsed.command === 'help') {
    if (parsed.rest[0] !== 'user') return { kind: 'help', text: helpText() };
  }
  const machine: Machine = {
    env,
    isRoot: context.isRoot ?? process.getuid?.() === 0,
    homeDirectory: context.homeDirectory ?? (env['HOME'] || homedir()),
  };
  const fromFlagOrVariable = (option: AnyOption): readonly Given[] => {
    const flags = parsed.given.get(option) ?? [];
    if (flags.length > 0) {
      return flags.map((text) => ({ origin: flagOf(option)!, text: text.trim(), code: 'usage.arguments' }));
    }
    return fromVariable(option, env);
  };

  const path = fromFlagOrVariable(options.configFile).at(-1)?.text;
  const file = path === undefined ? undefined : await readFileValues(path, readFile);
  const values: Record<string, unknown> = {};
  for (const [property, option] of Object.entries(options) as [keyof Configuration, AnyOption][]) {
    if (option.kind === 'section') {
      values[property] = file?.sections.get(option);
      continue;
    }
    const near = fromFlagOrVariable(option);
    const given = near.length > 0 ? near : fromFile(option, file);
    if (option.kind === 'list') values[property] = given.map((one) => read(option, one));
    else if (given.length > 0) values[property] = read(option, given.at(-1)!);
    else values[property] = option.fallback(machine);
    if (property === 'provider') checkProvider(String(values[property]), given.at(-1), context.providers);
  }
  // The table has a reader of the right type for each property: `satisfies` holds it to that.
  const configuration = values as unknown as Configuration;
  const warnings = strayVariables(env);
  if (parsed.command === 'help') return { kind: 'user', configuration, arguments: ['--help'], warnings };
  if (parsed.command) return { kind: parsed.command, configuration, arguments: parsed.rest, warnings };
  return { kind: 'run', configuration, warnings };
}

async function readFileValues(
  path: string,
  readFile: (path: string) => string | Promise<string>,
): Promise<FileValues> {
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError('usage.file', `cannot read the configuration file ${path}: ${reason}`, {
      cause: error,
    });
  }
  return parseConfigurationFile(path, text);
}

/** An empty variable counts as absent. */
function fromVariable(option: AnyOption, env: Environment): readonly Given[] {
  const origin = variableOf(option);
  const text = origin === undefined ? undefined : env[origin]?.trim();
  if (!origin || !text) return [];
  const texts = option.kind === 'list' ? text.split(',').map((part) => part.trim()) : [text];
  return texts
    .filter((part) => part !== '')
    .map((part) => ({ origin, text: part, code: 'usage.environment' }));
}

function fromFile(option: AnyOption, file: FileValues | undefined): readonly Given[] {
  return (file?.texts.get(option) ?? []).map((entry) => ({
    ...entry,
    text: entry.text.trim(),
    code: 'usage.file',
  }));
}

function read(option: Exclude<AnyOption, { kind: 'section' }>, { origin, text, code }: Given): unknown {
  let value: unknown;
  try {
    value = option.read(text);
  } catch (error) {
    // The rooms have notations of their own, and say best what is wrong with them.
    if (!(error instanceof CloudsipError)) throw error;
    throw new UsageError(code, `${origin}: ${error.message}`, { cause: error });
  }
  if (value !== undefined) return value;
  const meant = option.words ? didYouMean(text, option.words) : '';
  throw new UsageError(code, `${origin}: expected ${option.expected}, got "${text.slice(0, 100)}"${meant}`);
}

function checkProvider(name: string, given: Given | undefined, known: readonly string[] | undefined): void {
  if (!given || !known || name === 'auto' || known.includes(name)) return;
  throw new UsageError(
    given.code,
    `${given.origin}: expected auto or one of ${known.join(', ')}, got "${name}"${didYouMean(name, known)}`,
  );
}

/** Variables that look like a typing error of one of ours. */
function strayVariables(env: Environment): string[] {
  const known = optionList.flatMap((option) => variableOf(option) ?? []);
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('CLOUDSIP_') || known.includes(name)) return [];
    const meant = nearest(
      name.slice(9),
      known.map((variable) => variable.slice(9)),
    );
    return meant === undefined
      ? []
      : [`the environment variable ${name} has no effect; did you mean CLOUDSIP_${meant}?`];
  });
}
