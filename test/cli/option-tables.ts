import { type AnyOption, flagOf, keyOf, variableOf } from '../../src/cli/option.ts';
import { optionList } from '../../src/cli/options.ts';

/** The table of README.md: what each option is for. */
export function readmeTable(): string {
  return table(
    ['Option', 'What it says', 'Default'],
    optionList.map((option) => [
      code(usageOf(option)),
      option.kind === 'list' ? `${option.summary} Repeatable.` : option.summary,
      option.defaultText,
    ]),
  );
}

/** The table of docs/configuration.md: what each option is called where, and what a tag that changes does. */
export function nameTable(): string {
  return table(
    ['Flag', 'Environment variable', 'Key in the file', 'Tag', 'Default'],
    optionList.map((option) => [
      code(flagOf(option)),
      code(variableOf(option)),
      code(keyOf(option)),
      tagOf(option),
      option.defaultText,
    ]),
  );
}

function tagOf({ notInCloud, restart }: AnyOption): string {
  if (notInCloud !== undefined) return `never: ${notInCloud}`;
  return restart === undefined ? 'at once' : `at the start, then a restart is needed: ${restart}`;
}

function usageOf(option: AnyOption): string {
  const flag = flagOf(option);
  return flag === undefined ? `${option.name}:` : `${flag} ${option.placeholder}`;
}

function code(text: string | undefined): string {
  return text === undefined ? '–' : `\`${text}\``;
}

/** A bar inside a cell is escaped, in code too (GitHub Flavored Markdown 4.10). */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
