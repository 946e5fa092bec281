import type { Message } from './message.ts';

/**
 * Edits of one received message, written out once: what no splice touches goes out byte for byte as it came
 * in. Splices are given in any order and must not overlap.
 */
export class Splices {
  readonly #message: Message;
  readonly #edits: { start: number; end: number; text: string; order: number }[] = [];
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
    this.#edits.push({ start, end, text, order: this.#edits.length });
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
    // What is inserted at an offset goes before what is replaced from there on.
    if (edits.length > 1) edits.sort((a, b) => a.start - b.start || a.end - b.end || a.order - b.order);
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
