import { type AnyOption, flagOf, optionList } from './options.ts';
import { didYouMean } from './suggestion.ts';
import { UsageError } from './usage-error.ts';

/** The command line, taken apart; the values are not looked at yet. */
export interface Arguments {
  /** The texts given for each option, in their order. */
  readonly given: ReadonlyMap<AnyOption, readonly string[]>;
  readonly command: CommandName | undefined;
  /** What follows the command and is its own matter. */
  readonly rest: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
}

export type CommandName = 'user' | 'help';

const commands: readonly CommandName[] = ['user', 'help'];
const flags: ReadonlyMap<string, AnyOption> = new Map(
  optionList.flatMap((option) => {
    const flag = flagOf(option);
    return flag === undefined ? [] : [[flag, option] as const];
  }),
);
const flagNames: readonly string[] = [...flags.keys(), '--help', '--version'];

/**
 * Takes the arguments apart: `--flag value`, `--flag=value`, `--` ends the flags. Throws a `UsageError` for
 * what is unknown or has no value; `--help` is stronger than any error.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const given = new Map<AnyOption, string[]>();
  const state = { command: undefined as CommandName | undefined, help: false, version: false };
  const rest: string[] = [];
  let problem: UsageError | undefined;
  let flagsEnded = false;

  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const option = flagsEnded ? undefined : flags.get(flag);
    if (state.command !== undefined && !(option?.kind === 'single' && option.shared)) {
      rest.push(argument);
      flagsEnded ||= argument === '--';
    } else if (option) {
      const value = equals < 0 ? argv[++index] : argument.slice(equals + 1);
      if (value === undefined || (equals < 0 && isFlag(value))) {
        index--;
        problem ??= usage(`${flag} needs a value: ${flag} ${quoteIfNeeded(option.placeholder)}`);
      } else {
        given.set(option, [...(given.get(option) ?? []), value]);
      }
    } else if (!flagsEnded && argument === '--') {
      flagsEnded = true;
    } else if (!flagsEnded && (flag === '--help' || flag === '-h')) {
      state.help = true;
    } else if (!flagsEnded && flag === '--version') {
      state.version = true;
    } else if (!flagsEnded && argument.length > 1 && argument.startsWith('-')) {
      problem ??= unknownFlag(flag);
    } else if ((state.command = commands.find((name) => name === argument)) === undefined) {
      problem ??= unknownCommand(argument);
    }
  }
  if (problem && !state.help) throw problem;
  return { given, rest, ...state };
}

function isFlag(argument: string): boolean {
  return flags.has(argument) || argument === '--' || argument === '--help' || argument === '--version';
}

function unknownFlag(flag: string): UsageError {
  const name = flag.replace(/^-+/, '');
  const meant = didYouMean(
    name,
    flagNames.map((known) => known.slice(2)),
    '--',
  );
  return usage(`unknown option ${flag}${meant || "; 'cloudsip --help' lists the options"}`);
}

function unknownCommand(word: string): UsageError {
  const meant = didYouMean(word, commands);
  return usage(
    `unknown command "${word}"${meant || "; expected 'user', 'help' or nothing, which runs the agent"}`,
  );
}

function quoteIfNeeded(placeholder: string): string {
  return /[|[\]]/.test(placeholder) ? `'${placeholder}'` : placeholder;
}

function usage(message: string): UsageError {
  return new UsageError('usage.arguments', message);
}
