import { homedir } from 'node:os';
import { parseArguments } from './arguments.ts';
import type { CommandName } from './commands.ts';
import type { Configuration } from './configuration.ts';
import { ConfigurationSource, type Environment, strayVariables } from './configuration-source.ts';
import { helpText } from './help.ts';

/** What the person asked for. */
export type Invocation =
  | {
      readonly kind: 'run';
      readonly configuration: Configuration;
      /** The same, to be worked out again while the agent runs. */
      readonly source: ConfigurationSource;
      /** Sentences about what was given and has no effect; for the log. */
      readonly warnings: readonly string[];
    }
  | {
      /** A command. */
      readonly kind: Exclude<CommandName, 'help'>;
      readonly configuration: Configuration;
      /** The same, to be worked out again with what the cloud sets. */
      readonly source: ConfigurationSource;
      /** What follows its name, without the options that are the agent's. */
      readonly arguments: readonly string[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

/** What is known of the machine and of the plugins; each has a default. */
export interface ReadContext {
  /** The registered providers' names: others are refused with the nearest. */
  readonly providers?: readonly string[];
  readonly isRoot?: boolean;
  readonly homeDirectory?: string;
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
  const source = await ConfigurationSource.open({
    given: parsed.given,
    env,
    machine: {
      env,
      isRoot: context.isRoot ?? process.getuid?.() === 0,
      homeDirectory: context.homeDirectory ?? (env['HOME'] || homedir()),
    },
    readFile,
    providers: context.providers,
  });
  const { configuration } = source.resolve();
  const warnings = strayVariables(env);
  const read = { configuration, source, warnings };
  if (parsed.command === 'help') return { kind: 'user', arguments: ['--help'], ...read };
  if (parsed.command) return { kind: parsed.command, arguments: parsed.rest, ...read };
  return { kind: 'run', ...read };
}
