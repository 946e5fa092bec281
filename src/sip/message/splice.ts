import type { Message } from './message.ts';

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Edits of one received message, written out once: what no splice touches goes out byte for byte as it came
 * in. Splices are given in any order and must not overlap.
 */
export class Splices {
  readonly #message: Message;
  /** In the order of their places; what is inserted at an offset goes before what is replaced from there on. */
  readonly #edits: Edit[] = [];
  #startLine: string | undefined;
  #body: string | undefined;

  constructor(message: Message) {
    this.#message = message;
  }

  /** Replaces the start line (without its CRLF). */
  startLine(line: string): this {
    this.#startLine = line;
    return this;
  }

  /** Replaces [start, end) of the message text. */
  replace(start: number, end: number, text: string): this {
    const edits = this.#edits;
    // A handful, mostly given in their order: put in place at once instead of sorted in the end.
    let n = edits.length;
    while (
      n > 0 &&
      (edits[n - 1]!.start > start || (edits[n - 1]!.start === start && edits[n - 1]!.end > end))
    )
      n--;
    if (n === edits.length) edits.push({ start, end, text });
    else edits.splice(n, 0, { start, end, text });
    return this;
  }

  /** Puts whole header lines, each ending in CRLF, in front of offset `at`. */
  insert(at: number, lines: string): this {
    return this.replace(at, at, lines);
  }

  /** Takes out the n-th header line. */
  removeLine(n: number): this {
    return this.replace(this.#message.lineStart(n), this.#message.lineEnd(n), '');
  }

  /** Replaces the body; the caller replaces Content-Length as well where the length changes. */
  body(text: string): this {
    this.#body = text;
    return this;
  }

  toString(): string {
    const { text, headersStart, bodyStart, bodyEnd } = this.#message;
    const edits = this.#edits;
    let out = this.#startLine === undefined ? text.slice(0, headersStart) : `${this.#startLine}\r\n`;
    let at = headersStart;
    for (const edit of edits) {
      out += text.slice(at, edit.start) + edit.text;
      at = edit.end;
    }
    if (this.#body === undefined) return out + text.slice(at, bodyEnd);
    return out + text.slice(at, bodyStart) + this.#body;
  }
}
