import { CloudsipError } from '../error.ts';
import type { Configuration } from './configuration.ts';
import { type FileEntry, type FileValues, parseConfigurationFile } from './configuration-file.ts';
import type { Machine } from './default-state-directory.ts';
import { type AnyOption, flagOf, type ListOption, variableOf } from './option.ts';
import { optionList, options } from './options.ts';
import { didYouMean, nearest } from './suggestion.ts';
import { UsageError, type UsageErrorCode } from './usage-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
/** Options as the instance's tags set them, by name. */
export type CloudOptions = Readonly<Record<string, string>>;

export interface Resolved {
  readonly configuration: Configuration;
  /** Sentences about what was given and has no effect; for the log. */
  readonly warnings: readonly string[];
}

export interface SourceOptions {
  /** The texts of the command line for each option. */
  readonly given: ReadonlyMap<AnyOption, readonly string[]>;
  readonly env: Environment;
  readonly machine: Machine;
  readonly readFile: (path: string) => string | Promise<string>;
  /** The registered providers' names: others are refused with the nearest. */
  readonly providers?: readonly string[] | undefined;
}

interface Given extends FileEntry {
  readonly code: UsageErrorCode;
}

type ScalarOption = Exclude<AnyOption, { kind: 'section' }>;

/** So many tags that are none of our options are told of: a cloud has room for thousands. */
const mostStrangeTags = 10;
/** More than any value needs. */
const longestCloudText = 4096;

/**
 * Where options come from, so that they can be worked out again: when the configuration file was changed, and
 * when the cloud sets others. For each option: flag, else variable, else file, else tag, else default.
 */
export class ConfigurationSource {
  readonly #options: SourceOptions;
  readonly #path: string | undefined;
  #file: FileValues | undefined;
  /** What each tag said last that could be used. */
  #lastGood: ReadonlyMap<AnyOption, unknown> = new Map();

  private constructor(options: SourceOptions) {
    this.#options = options;
    this.#path = this.#near(optionByName('config')).at(-1)?.text;
  }

  /** Reads the file, if one is named. Rejects with a `UsageError`. */
  static async open(options: SourceOptions): Promise<ConfigurationSource> {
    const source = new ConfigurationSource(options);
    if (source.#path !== undefined) source.#file = await source.#readFile(source.#path);
    return source;
  }

  /** False where no file was named: then there is nothing to read again. */
  get hasFile(): boolean {
    return this.#path !== undefined;
  }

  /** Reads the file again. Rejects with a `UsageError` that says what is wrong with it; what was read before counts then. */
  async reread(): Promise<void> {
    if (this.#path === undefined) return;
    const file = await this.#readFile(this.#path);
    this.#resolve(file, {});
    this.#file = file;
  }

  /**
   * Throws a `UsageError` for what a person wrote. What the cloud says and cannot be used is told in a warning: then
   * what the same tag said before still counts.
   */
  resolve(cloud: CloudOptions = {}): Resolved {
    const { good, ...resolved } = this.#resolve(this.#file, cloud);
    this.#lastGood = good;
    return resolved;
  }

  #resolve(
    file: FileValues | undefined,
    cloud: CloudOptions,
  ): Resolved & { readonly good: ReadonlyMap<AnyOption, unknown> } {
    const { machine, providers } = this.#options;
    const { texts, warnings } = readCloudOptions(cloud);
    const good = new Map<AnyOption, unknown>();
    const values: Record<string, unknown> = {};
    for (const [property, option] of Object.entries(options) as [keyof Configuration, AnyOption][]) {
      if (option.kind === 'section') {
        values[property] = file?.sections.get(option);
        continue;
      }
      const near = this.#near(option);
      const given = near.length > 0 ? near : fromFile(option, file);
      let value = given.length > 0 ? valueIn(option, given) : undefined;
      const text = texts.get(option);
      if (text !== undefined) {
        const told = this.#fromCloud(option, text, value === undefined, warnings);
        if (told !== undefined) good.set(option, told);
        value ??= told;
      }
      values[property] =
        value ?? (option.kind === 'list' ? (option.fallback ?? []) : option.fallback(machine));
      if (property === 'provider') checkProvider(String(values[property]), given.at(-1), providers);
    }
    // The table has a reader of the right type for each property: `satisfies` holds it to that.
    return { configuration: values as unknown as Configuration, warnings, good };
  }

  /** A tag that does not count is not complained of. */
  #fromCloud(option: ScalarOption, text: string, counts: boolean, warnings: string[]): unknown {
    const origin = `the tag cloudsip-${option.name}`;
    try {
      const parts = partsOf(option, text);
      return valueIn(
        option,
        parts.map((part) => ({ origin, text: part, code: 'usage.environment' })),
      );
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const before = this.#lastGood.get(option);
      const instead = before === undefined ? 'the tag has no effect' : 'what it said before still counts';
      if (counts) warnings.push(`${error.message}; ${instead}`);
      return before;
    }
  }

  /** Flag, else variable. An empty variable counts as absent. */
  #near(option: AnyOption): readonly Given[] {
    const { given, env } = this.#options;
    const flags = given.get(option) ?? [];
    if (flags.length > 0) {
      return flags.map((text) => ({ origin: flagOf(option)!, text: text.trim(), code: 'usage.arguments' }));
    }
    const origin = variableOf(option);
    const text = origin === undefined ? undefined : env[origin]?.trim();
    if (!origin || !text) return [];
    return partsOf(option, text).map((part) => ({ origin, text: part, code: 'usage.environment' }));
  }

  async #readFile(path: string): Promise<FileValues> {
    let text: string;
    try {
      text = await this.#options.readFile(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError('usage.file', `cannot read the configuration file ${path}: ${reason}`, {
        cause: error,
      });
    }
    return parseConfigurationFile(path, text);
  }
}

function optionByName(name: string): AnyOption {
  return optionList.find((option) => option.name === name)!;
}

/** The texts that may count, by option, and a sentence for each that may not. */
function readCloudOptions(cloud: CloudOptions): { texts: Map<AnyOption, string>; warnings: string[] } {
  const texts = new Map<AnyOption, string>();
  const warnings: string[] = [];
  const names = optionList.filter(({ notInCloud }) => notInCloud === undefined).map(({ name }) => name);
  let strange = 0;
  for (const [given, text] of Object.entries(cloud)) {
    const name = given.toLowerCase();
    const option = optionList.find((each) => each.name === name);
    const tag = `the tag cloudsip-${given.slice(0, 100)}`;
    if (!option) {
      if (++strange > mostStrangeTags) continue;
      warnings.push(`${tag} has no effect: there is no such option${didYouMean(name, names)}`);
    } else if (option.notInCloud !== undefined) {
      warnings.push(`${tag} has no effect: a tag cannot set this option, for ${option.notInCloud}`);
    } else if (text.length > longestCloudText) {
      warnings.push(`${tag} has no effect: expected ${longestCloudText} characters at most`);
    } else if (text.trim() !== '') texts.set(option, text.trim());
  }
  if (strange > mostStrangeTags) {
    warnings.push(
      `${strange - mostStrangeTags} more tags named cloudsip-… have no effect: there are no such options`,
    );
  }
  return { texts, warnings };
}

/** In a variable and in a tag the values of a list are parted by commas. */
function partsOf(option: AnyOption, text: string): string[] {
  const parts = option.kind === 'list' ? text.split(',').map((part) => part.trim()) : [text];
  return parts.filter((part) => part !== '');
}

function fromFile(option: AnyOption, file: FileValues | undefined): readonly Given[] {
  return (file?.texts.get(option) ?? []).map((entry) => ({
    ...entry,
    text: entry.text.trim(),
    code: 'usage.file',
  }));
}

/** Of what is not a list the last one counts. */
function valueIn(option: ScalarOption, given: readonly Given[]): unknown {
  if (option.kind === 'list') return given.length > 0 ? listIn(option, given) : undefined;
  const last = given.at(-1);
  return last && read(option, last);
}

function listIn(option: ListOption<unknown>, given: readonly Given[]): readonly unknown[] {
  const items = given.map((one) => read(option, one));
  const { origin, code } = given[0]!;
  told(origin, code, () => option.check?.(items));
  return items;
}

function read(option: ScalarOption, { origin, text, code }: Given): unknown {
  const value = told(origin, code, () => option.read(text));
  if (value !== undefined) return value;
  const meant = option.words ? didYouMean(text, option.words) : '';
  throw new UsageError(code, `${origin}: expected ${option.expected}, got "${text.slice(0, 100)}"${meant}`);
}

/** The rooms have notations of their own, and say best what is wrong with them. */
function told(origin: string, code: UsageErrorCode, act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof CloudsipError)) throw error;
    throw new UsageError(code, `${origin}: ${error.message}`, { cause: error });
  }
}

/** What is near to a known name is a typing error; what is not may be the name of a package. */
function checkProvider(name: string, given: Given | undefined, known: readonly string[] | undefined): void {
  if (!given || !known || name === 'auto' || known.includes(name) || /[/@.]/.test(name)) return;
  const meant = didYouMean(name, known);
  if (meant === '') return;
  throw new UsageError(
    given.code,
    `${given.origin}: expected auto or one of ${known.join(', ')}, got "${name}"${meant}`,
  );
}

/** Variables that look like a typing error of one of ours. */
export function strayVariables(env: Environment): string[] {
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
