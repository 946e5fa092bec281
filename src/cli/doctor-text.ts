import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import type { Finding, Verdict } from '../discovery/finding.ts';
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
    const about = subject === undefined ? '' : ` ${harmless(subject)}`;
    const head = `${this.#style(style, word)}  ${this.#style('bold', harmless(check))}${about}`;
    const seen = wrap(harmless(evidence).replaceAll('\n', ' '), this.#width - indent.length);
    const lines = [head, ...seen.map((line) => indent + line)];
    if (remedy !== undefined) lines.push(...this.#remedy(harmless(remedy)));
    this.#output.write(`${lines.join('\n')}\n`);
  }

  summary(counts: Readonly<Record<Verdict, number>>): void {
    const { pass, warn, fail, skip } = counts;
    const all = `${fail} failed, ${warn} to look at, ${pass} passed, ${skip} not checked`;
    const style = fail > 0 ? marks.fail.style : warn > 0 ? marks.warn.style : marks.pass.style;
    this.#output.write(`\n${this.#style(style, all)}\n`);
  }

  /** Sentences are wrapped; lines that begin with a space are for pasting and stay as they are. */
  #remedy(remedy: string): string[] {
    const arrow = '-> ';
    const lines = remedy
      .split('\n')
      .flatMap((line) =>
        /^\s/.test(line) ? [line] : wrap(line, this.#width - indent.length - arrow.length),
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

/** What a cloud or another program wrote must not command the terminal. */
function harmless(text: string): string {
  return text.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, '?');
}
