import { type Command, type CommandName, commands } from './commands.ts';
import { type AnyOption, flagOf } from './option.ts';
import { optionList } from './options.ts';
import { didYouMean } from './suggestion.ts';
import { UsageError } from './usage-error.ts';

/** The command line, taken apart; the values are not looked at yet. */
export interface Arguments {
  /** The texts given for each option, in their order. */
  readonly given: ReadonlyMap<AnyOption, readonly string[]>;
  readonly command: CommandName | undefined;
  /** What follows the command and is its own matter: its flags, or whatever it wants where it has no list of them. */
  readonly rest: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
}

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
  const state = { help: false, version: false };
  let command: Command | undefined;
  const rest: string[] = [];
  let problem: UsageError | undefined;
  let flagsEnded = false;

  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const option = flagsEnded ? undefined : flags.get(flag);
    if (command && !command.flags && !(option && takes(command, option))) {
      rest.push(argument);
      flagsEnded ||= argument === '--';
    } else if (option && (!command || takes(command, option))) {
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
    } else if (!flagsEnded && command?.flags?.includes(argument)) {
      rest.push(argument);
    } else if (!flagsEnded && argument.length > 1 && argument.startsWith('-')) {
      problem ??= unknownFlag(flag, command);
    } else if (command) {
      problem ??= usage(
        `unexpected "${argument.slice(0, 100)}" after ${command.name}; expected ${expected(command)}`,
      );
    } else if ((command = commands.find(({ name }) => name === argument)) === undefined) {
      problem ??= unknownCommand(argument);
    }
  }
  if (problem && !state.help) throw problem;
  return { given, rest, command: command?.name, ...state };
}

/** Whether an option of the agent may stand after the command. */
function takes({ options }: Command, option: AnyOption): boolean {
  return options === 'all' || (option.kind === 'single' && option.shared === true);
}

function expected({ flags = [], options }: Command): string {
  const own = flags.length > 0 ? `${flags.join(', ')} or ` : '';
  return `${own}${options === 'all' ? 'options of the agent' : '--config and --state-dir'}`;
}

function isFlag(argument: string): boolean {
  return flags.has(argument) || argument === '--' || argument === '--help' || argument === '--version';
}

function unknownFlag(flag: string, command?: Command): UsageError {
  const name = flag.replace(/^-+/, '');
  if (command?.flags?.includes(flag)) return usage(`${flag} takes no value`);
  const meant = didYouMean(
    name,
    [...flagNames, ...(command?.flags ?? [])].map((known) => known.slice(2)),
    '--',
  );
  return usage(`unknown option ${flag}${meant || "; 'cloudsip --help' lists the options"}`);
}

function unknownCommand(word: string): UsageError {
  const names = commands.map(({ name }) => name);
  const meant = didYouMean(word, names);
  const known = names.map((name) => `'${name}'`).join(', ');
  return usage(`unknown command "${word}"${meant || `; expected ${known} or nothing, which runs the agent`}`);
}

function quoteIfNeeded(placeholder: string): string {
  return /[|[\]]/.test(placeholder) ? `'${placeholder}'` : placeholder;
}

function usage(message: string): UsageError {
  return new UsageError('usage.arguments', message);
}
