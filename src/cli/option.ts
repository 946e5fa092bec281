import type { Machine } from './default-state-directory.ts';
import { oneOf } from './option-values.ts';
import type { SectionReader } from './static-section.ts';

/** What every option tells about itself: the help text and the tables of the documents are made of this. */
interface OptionText {
  /** `state-dir`: the flag `--state-dir`, the variable `CLOUDSIP_STATE_DIR`, the key `state-dir`. */
  readonly name: string;
  /** Stands for the value in the help text. */
  readonly placeholder: string;
  readonly summary: string;
  /** The default in words. */
  readonly defaultText: string;
  /** Why a change needs a restart, completing “… is needed, for”; absent where it counts at once. */
  readonly restart?: string;
  /** Why no tag of the instance may set it, completing “a tag cannot set this option, for”. */
  readonly notInCloud?: string;
}

interface ScalarText<Item> extends OptionText {
  /** Completes “expected …, got …”. */
  readonly expected: string;
  /** Words to suggest after a typing error. */
  readonly words?: readonly string[];
  /** Undefined, or a thrown `CloudsipError`, where the text is not of the expected form. */
  readonly read: (text: string) => Item | undefined;
}

export interface SingleOption<Value> extends ScalarText<Exclude<Value, undefined>> {
  readonly kind: 'single';
  readonly fallback: (machine: Machine) => Value;
  /** True for what cannot stand in the configuration file: the name of that file. */
  readonly notInFile?: true;
  /** True for what the commands that work on the state want to know too. */
  readonly shared?: true;
}

/** A flag to repeat, a variable with commas, a list in the file; the strongest source replaces the others. */
export interface ListOption<Item> extends ScalarText<Item> {
  readonly kind: 'list';
  /** Empty where absent. */
  readonly fallback?: readonly Item[];
  /** Throws a `CloudsipError` where the values do not go together. */
  check?(items: readonly Item[]): unknown;
}

/** Has a structure, so that only the configuration file can say it. */
export interface SectionOption<Value> extends OptionText {
  readonly kind: 'section';
  readonly read: SectionReader<Exclude<Value, undefined>>;
}

export type OptionFor<Value> =
  | SectionOption<Value>
  | ([Value] extends [readonly (infer Item)[]] ? ListOption<Item> : SingleOption<Value>);

/** An option whose type of value does not matter. */
export type AnyOption = SingleOption<unknown> | ListOption<unknown> | SectionOption<unknown>;

export function single<Value>(option: Omit<SingleOption<Value>, 'kind'>): SingleOption<Value> {
  return { kind: 'single', ...option };
}

export function list<Item>(option: Omit<ListOption<Item>, 'kind'>): ListOption<Item> {
  return { kind: 'list', ...option };
}

/** One of a few words. */
export function choice<Word extends string>(
  option: Omit<SingleOption<Word>, 'kind' | 'expected' | 'read' | 'placeholder'> & {
    readonly words: readonly Word[];
  },
): SingleOption<Word> {
  const { words } = option;
  return {
    kind: 'single',
    ...option,
    placeholder: words.join('|'),
    expected: `one of ${words.join(', ')}`,
    read: oneOf(words) as SingleOption<Word>['read'],
  };
}

/** The flag, or undefined for a section. */
export function flagOf(option: AnyOption): string | undefined {
  return option.kind === 'section' ? undefined : `--${option.name}`;
}

/** The environment variable, or undefined for a section. */
export function variableOf(option: AnyOption): string | undefined {
  if (option.kind === 'section') return undefined;
  return `CLOUDSIP_${option.name.toUpperCase().replaceAll('-', '_')}`;
}

/** The key in the configuration file, or undefined where it cannot stand there. */
export function keyOf(option: AnyOption): string | undefined {
  return option.kind === 'single' && option.notInFile ? undefined : option.name;
}
