import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import type { Finding, Verdict } from '../discovery/finding.ts';
import { harmless, harmlessInLine } from './harmless.ts';
import { wrap } from './wrap.ts';

type Style = Parameters<typeof styleText>[0];

const marks: Readonly<Record<Verdict, { readonly word: string; readonly style: Style }>> = {
  pass: { word: 'pass', style: 'green' },
  warn: { word: 'WARN', style: ['bold', 'yellow'] },
  fail: { word: 'FAIL', style: ['bold', 'red'] },
  skip: { word: 'skip', style: 'dim' },
};
const indent = ' '.repeat(6);

/** Tells a person what the doctor finds, line by line. Colours only a terminal, and not where NO_COLOR is set. */
export class DoctorText {
  readonly #output: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly #colours: boolean;
  readonly #width: number;
  /** Names of the checks to look at again: the first lines have left the screen by the end. */
  readonly #bad = new Set<string>();

  constructor(
    output: Writable & { readonly isTTY?: boolean; readonly columns?: number },
    env: Readonly<Record<string, string | undefined>>,
  ) {
    this.#output = output;
    this.#colours = output.isTTY === true && !env['NO_COLOR'];
    // Long lines are hard to read on a wide terminal too.
    this.#width = Math.max(40, Math.min(output.columns ?? 100, 110));
  }

  finding({ check, subject, verdict, evidence, remedy }: Finding): void {
    const { word, style } = marks[verdict];
    const name = harmlessInLine(subject === undefined ? check : `${check} ${subject}`);
    const seen = harmlessInLine(evidence);
    const isBad = verdict === 'fail' || verdict === 'warn';
    // What is well is told in passing; what is not stands by itself.
    const [first = '', ...more] = wrap(isBad ? name : `${name}: ${seen}`, this.#width - indent.length);
    const head = `${this.#style(style, word)}  ${first.startsWith(name) ? this.#style('bold', name) + first.slice(name.length) : first}`;
    const lines = [head, ...more.map((line) => indent + line)];
    if (isBad) lines.push(...wrap(seen, this.#width - indent.length).map((line) => indent + line));
    if (remedy !== undefined) lines.push(...this.#remedy(harmless(remedy)));
    if (isBad) this.#bad.add(check);
    this.#output.write(`${lines.join('\n')}\n`);
  }

  summary(counts: Readonly<Record<Verdict, number>>): void {
    const { pass, warn, fail, skip } = counts;
    const names = this.#bad.size > 0 ? `: see ${harmlessInLine([...this.#bad].join(', '))}` : '';
    const all = `${fail} failed, ${warn} to look at, ${pass} passed, ${skip} not checked${names}`;
    const style = fail > 0 ? marks.fail.style : warn > 0 ? marks.warn.style : marks.pass.style;
    this.#output.write(`\n${this.#style(style, all)}\n`);
  }

  /** Sentences are wrapped; what is for pasting stays in one line, whatever the terminal does with it. */
  #remedy(remedy: string): string[] {
    const arrow = '-> ';
    const lines = remedy
      .split('\n')
      .flatMap(commandApart)
      .flatMap((line) =>
        isForPasting(line) ? [line] : wrap(line, this.#width - indent.length - arrow.length),
      );
    return lines.map((line, index) => {
      const before = index === 0 ? arrow : ' '.repeat(arrow.length);
      return indent + this.#style('cyan', before + line);
    });
  }

  #style(style: Style, text: string): string {
    return this.#colours ? styleText(style, text, { validateStream: false }) : text;
  }
}

const commandOfCloud = /(?:aws|az|gcloud) [a-z][a-z0-9-]* /;

/** Lines that begin with a space, and commands of the clouds. */
function isForPasting(line: string): boolean {
  return /^\s/.test(line) || line.search(commandOfCloud) === 0;
}

/** `Do this: aws ec2 …` → the sentence, and below it the command. */
function commandApart(line: string): string[] {
  const at = isForPasting(line) ? -1 : (new RegExp(`: ${commandOfCloud.source}`).exec(line)?.index ?? -1);
  return at < 0 ? [line] : [line.slice(0, at + 1), `  ${line.slice(at + 2)}`];
}
