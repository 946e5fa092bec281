import { commands } from './commands.ts';
import { type AnyOption, flagOf } from './option.ts';
import { optionList } from './options.ts';
import { wrap } from './wrap.ts';

const width = 96;
const indent = 24;

/** What `cloudsip --help` prints, with a line break at the end. */
export function helpText(): string {
  const flags = optionList.flatMap((option) => {
    const flag = flagOf(option);
    return flag === undefined ? [] : [item(`${flag} ${option.placeholder}`, describe(option))];
  });
  const sections = optionList
    .filter((option) => option.kind === 'section')
    .map((option) => item(`${option.name}:`, option.summary));
  return [
    'cloudsip - SIP proxy, registrar and RTP relay that finds its public addresses by itself',
    '',
    'Usage:',
    item('cloudsip [options]', 'Run until stopped.'),
    ...commands.map(({ name, form, summary }) => item(`cloudsip ${name} ${form}`.trimEnd(), summary)),
    '',
    'Options:',
    ...flags,
    item('-h, --help', 'This text.'),
    item('--version', 'The version.'),
    '',
    'Only in the configuration file:',
    ...sections,
    '',
    ...wrap(
      'Each option is also an environment variable (--log-level: CLOUDSIP_LOG_LEVEL; several values with ' +
        'commas) and, but for --config, a key of the configuration file (log-level: debug). A flag is ' +
        'stronger than a variable, a variable than the file, the file than the default.',
      width,
    ),
    '',
  ].join('\n');
}

function describe(option: AnyOption): string {
  const again = option.kind === 'list' ? ' Repeatable.' : '';
  return `${option.summary}${again} Default: ${option.defaultText}.`;
}

/** A term and its text beside it, or below it where the term is long. */
function item(term: string, text: string): string {
  const lines = wrap(text, width - indent).map((line) => ' '.repeat(indent) + line);
  const head = `  ${term}`;
  if (head.length + 2 > indent) return [head, ...lines].join('\n');
  return [head.padEnd(indent) + lines[0]!.trimStart(), ...lines.slice(1)].join('\n');
}
