import { isNameAt, isSpace, isToken, parseInteger, trimEnd } from './grammar.ts';
import { CALL_ID, CONTENT_LENGTH, CSEQ, FROM, headerId, MAX_FORWARDS, OTHER, TO, VIA } from './header-id.ts';
import { type NameAddr, parseNameAddr } from './name-addr.ts';
import { paramValue } from './params.ts';
import { parseSipUri, type SipUri } from './uri.ts';
import { parseVia, type Via } from './via.ts';

/** Fields of an index entry; four numbers a header line. */
const ID = 0;
const LINE = 1;
const VALUE = 2;
const END = 3;
const STRIDE = 4;

const scratch: number[] = new Array<number>(256).fill(0);

/**
 * A received SIP message: its text (latin1, so one character a byte) and an index of where each header lies,
 * made in one pass. Decoding is lazy, header by header. The text is never changed; edits are splices.
 */
export class Message {
  readonly text: string;
  /** `INVITE`; `''` in a response. Case-sensitive (RFC 3261 7.1). */
  readonly method: string;
  /** The Request-URI as written; `''` in a response. */
  readonly requestUri: string;
  /** 100 to 699; 0 in a request. */
  readonly status: number;
  /** `2.0`, or what a request claimed instead (answered with 505). */
  readonly version: string;
  /** Where the first header line begins. */
  readonly headersStart: number;
  /** Where the empty line begins. */
  readonly headersEnd: number;
  readonly bodyStart: number;
  /** Behind the last byte of the body: by Content-Length where it is given, else the end of the datagram. */
  readonly bodyEnd: number;
  /** What is wrong with the framing, for a 400's reason phrase; undefined where nothing is. */
  readonly defect: string | undefined;
  readonly #index: readonly number[];

  #uri: SipUri | null | undefined;
  #via: Via | null | undefined;
  #from: NameAddr | null | undefined;
  #to: NameAddr | null | undefined;
  #fromTag: string | null | undefined;
  #toTag: string | null | undefined;
  #callId: string | undefined;
  #cseqNumber = -2;
  #cseqMethod = '';

  constructor(
    text: string,
    start: StartLine,
    headersStart: number,
    headersEnd: number,
    bodyStart: number,
    index: readonly number[],
  ) {
    this.text = text;
    this.method = start.method;
    this.requestUri = start.requestUri;
    this.status = start.status;
    this.version = start.version;
    this.headersStart = headersStart;
    this.headersEnd = headersEnd;
    this.bodyStart = bodyStart;
    this.#index = index;
    let defect = start.defect;
    let bodyEnd = text.length;
    const length = this.value(CONTENT_LENGTH);
    if (length !== undefined) {
      const bytes = parseInteger(length, 0xffffffff);
      if (bytes === undefined) defect ??= 'Bad Content-Length';
      // A datagram shorter than its Content-Length is an error, a longer one is cut (RFC 3261 18.3).
      else if (bodyStart + bytes > text.length) defect ??= 'Content-Length Larger Than Message';
      else bodyEnd = bodyStart + bytes;
    }
    this.bodyEnd = bodyEnd;
    this.defect = defect;
  }

  get isRequest(): boolean {
    return this.status === 0;
  }

  /** How many header lines there are. */
  get headerCount(): number {
    return this.#index.length / STRIDE;
  }

  /** The id of the n-th header line. */
  idAt(n: number): number {
    return this.#index[n * STRIDE + ID]!;
  }

  /** Where the n-th header line begins. */
  lineStart(n: number): number {
    return this.#index[n * STRIDE + LINE]!;
  }

  /** Where the line behind the n-th header line begins. */
  lineEnd(n: number): number {
    const next = (n + 1) * STRIDE;
    return next < this.#index.length ? this.#index[next + LINE]! : this.headersEnd;
  }

  valueStart(n: number): number {
    return this.#index[n * STRIDE + VALUE]!;
  }

  valueEnd(n: number): number {
    return this.#index[n * STRIDE + END]!;
  }

  /** The value of the n-th header line, trimmed. */
  valueAt(n: number): string {
    return this.text.slice(this.valueStart(n), this.valueEnd(n));
  }

  /** The header name of the n-th line as written. */
  nameAt(n: number): string {
    const start = this.lineStart(n);
    const colon = this.text.indexOf(':', start);
    // A line without a colon has no name.
    return colon < 0 || colon > this.valueStart(n)
      ? ''
      : this.text.slice(start, trimEnd(this.text, start, colon));
  }

  /** The line number of the first header with this id at or behind line `from`; -1 where there is none. */
  find(id: number, from = 0): number {
    const index = this.#index;
    for (let i = from * STRIDE; i < index.length; i += STRIDE) if (index[i] === id) return i / STRIDE;
    return -1;
  }

  count(id: number): number {
    let count = 0;
    for (let i = 0; i < this.#index.length; i += STRIDE) if (this.#index[i] === id) count++;
    return count;
  }

  /** The value of the first header with this id. */
  value(id: number): string | undefined {
    const n = this.find(id);
    return n < 0 ? undefined : this.valueAt(n);
  }

  /** The values of all headers with this id, one a line, in order. */
  values(id: number): string[] {
    const values: string[] = [];
    for (let n = this.find(id); n >= 0; n = this.find(id, n + 1)) values.push(this.valueAt(n));
    return values;
  }

  /** The value of the first header of this (lower-case) name among those that have no id. */
  valueByName(lowerName: string): string | undefined {
    for (let n = 0; n < this.headerCount; n++) {
      if (this.idAt(n) === 0 && this.nameAt(n).toLowerCase() === lowerName) return this.valueAt(n);
    }
    return undefined;
  }

  /** The Request-URI in its parts; undefined where it is no SIP URI. */
  get uri(): SipUri | undefined {
    if (this.#uri === undefined) this.#uri = parseSipUri(this.requestUri) ?? null;
    return this.#uri ?? undefined;
  }

  /** The top Via hop; undefined where it is missing or malformed. */
  get via(): Via | undefined {
    if (this.#via === undefined) {
      const n = this.find(VIA);
      this.#via = (n < 0 ? undefined : parseVia(this.text, this.valueStart(n), this.valueEnd(n))) ?? null;
    }
    return this.#via ?? undefined;
  }

  get from(): NameAddr | undefined {
    if (this.#from === undefined) this.#from = this.#nameAddr(FROM);
    return this.#from ?? undefined;
  }

  get to(): NameAddr | undefined {
    if (this.#to === undefined) this.#to = this.#nameAddr(TO);
    return this.#to ?? undefined;
  }

  get fromTag(): string | undefined {
    if (this.#fromTag === undefined) this.#fromTag = tagOf(this.from);
    return this.#fromTag ?? undefined;
  }

  get toTag(): string | undefined {
    if (this.#toTag === undefined) this.#toTag = tagOf(this.to);
    return this.#toTag ?? undefined;
  }

  get callId(): string {
    this.#callId ??= this.value(CALL_ID) ?? '';
    return this.#callId;
  }

  /** The CSeq number, at most 2^31-1 (RFC 3261 8.1.1.5); -1 where it is missing or malformed. */
  get cseqNumber(): number {
    this.#decodeCseq();
    return this.#cseqNumber;
  }

  get cseqMethod(): string {
    this.#decodeCseq();
    return this.#cseqMethod;
  }

  /** Max-Forwards; undefined where it is absent, -1 where it is malformed. */
  get maxForwards(): number | undefined {
    const value = this.value(MAX_FORWARDS);
    return value === undefined ? undefined : (parseInteger(value, 255) ?? -1);
  }

  get body(): string {
    return this.text.slice(this.bodyStart, this.bodyEnd);
  }

  #nameAddr(id: number): NameAddr | null {
    const n = this.find(id);
    return n < 0 ? null : (parseNameAddr(this.text, this.valueStart(n), this.valueEnd(n)) ?? null);
  }

  #decodeCseq(): void {
    if (this.#cseqNumber !== -2) return;
    this.#cseqNumber = -1;
    const value = this.value(CSEQ);
    if (value === undefined) return;
    let i = 0;
    while (i < value.length && !isSpace(value.charCodeAt(i))) i++;
    const number = parseInteger(value.slice(0, i), 0x7fffffff);
    const method = value.slice(i).trim();
    if (number === undefined || !isToken(method)) return;
    this.#cseqNumber = number;
    this.#cseqMethod = method;
  }
}

function tagOf(address: NameAddr | undefined): string | null {
  return (address && paramValue(address.params, 'tag')) ?? null;
}

/**
 * Indexes one message (RFC 3261 7). Undefined where the text is no SIP message at all, so that nothing can be
 * answered: no start line of SIP's form, or no end of the headers. What is wrong but can be answered is told
 * by `defect`.
 */
export function parseMessage(text: string): Message | undefined {
  const firstEnd = text.indexOf('\n');
  if (firstEnd < 0) return undefined;
  const startLine = text.slice(0, text.charCodeAt(firstEnd - 1) === 0x0d ? firstEnd - 1 : firstEnd);
  const start = startLine.startsWith('SIP/') ? statusLine(startLine) : requestLine(startLine);
  if (!start) return undefined;

  let n = 0;
  let lineStart = firstEnd + 1;
  let colon = -1;
  for (;;) {
    const code = text.charCodeAt(lineStart);
    if (code === 0x0d && text.charCodeAt(lineStart + 1) === 0x0a) {
      return new Message(text, start, firstEnd + 1, lineStart, lineStart + 2, scratch.slice(0, n));
    }
    if (code === 0x0a)
      return new Message(text, start, firstEnd + 1, lineStart, lineStart + 1, scratch.slice(0, n));
    let lineFeed = text.indexOf('\n', lineStart);
    // A line that begins with white space continues the one before (RFC 3261 7.3.1).
    while (lineFeed >= 0 && isFold(text.charCodeAt(lineFeed + 1)))
      lineFeed = text.indexOf('\n', lineFeed + 1);
    if (lineFeed < 0) {
      // No empty line: the headers end with the text, which only a message without a body can survive.
      start.defect ??= 'Missing End Of Headers';
      return new Message(text, start, firstEnd + 1, lineStart, text.length, scratch.slice(0, n));
    }
    // Looked for only once each: lines without one must not make the search quadratic.
    if (colon < lineStart) {
      colon = text.indexOf(':', lineStart);
      if (colon < 0) colon = text.length;
    }
    if (colon > lineFeed) {
      start.defect ??= 'Malformed Header Line';
      // It has its place in the index all the same, so that the line before it does not seem to reach over it.
      scratch[n + ID] = OTHER;
      scratch[n + LINE] = lineStart;
      scratch[n + VALUE] = lineFeed;
      scratch[n + END] = lineFeed;
      n += STRIDE;
    } else {
      let nameEnd = colon;
      while (nameEnd > lineStart && isFold(text.charCodeAt(nameEnd - 1))) nameEnd--;
      let valueStart = colon + 1;
      while (valueStart < lineFeed && isSpace(text.charCodeAt(valueStart))) valueStart++;
      scratch[n + ID] = headerId(text, lineStart, nameEnd);
      scratch[n + LINE] = lineStart;
      scratch[n + VALUE] = valueStart;
      scratch[n + END] = trimEnd(text, valueStart, lineFeed);
      n += STRIDE;
    }
    lineStart = lineFeed + 1;
  }
}

function isFold(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

interface StartLine {
  method: string;
  requestUri: string;
  status: number;
  version: string;
  defect: string | undefined;
}

function requestLine(line: string): StartLine | undefined {
  const first = line.indexOf(' ');
  if (first <= 0) return undefined;
  const method = line.slice(0, first);
  if (!isToken(method)) return undefined;
  // Nearly every line: one SP between the parts, nothing behind (RFC 3261 7.1).
  const usualEnd = line.length - 8;
  if (usualEnd > first && line.endsWith(' SIP/2.0') && line.indexOf(' ', first + 1) === usualEnd) {
    const requestUri = line.slice(first + 1, usualEnd);
    if (requestUri.indexOf('\t') < 0)
      return { method, requestUri, status: 0, version: '2.0', defect: undefined };
  }
  const trimmed = line.trimEnd();
  const versionAt = trimmed.lastIndexOf(' ');
  const version = trimmed.slice(versionAt + 1);
  if (versionAt <= first || !/^SIP\/\d+\.\d+$/i.test(version)) return undefined;
  const requestUri = line.slice(first + 1, versionAt);
  // Extra white space shows a confused sender.
  const exact = trimmed.length === line.length && !/\s/.test(requestUri);
  return {
    method,
    requestUri,
    status: 0,
    version: version.slice(4),
    defect: exact ? undefined : 'Malformed Request-Line',
  };
}

function statusLine(line: string): StartLine | undefined {
  // SIP-Version is case-insensitive (RFC 3261 7.1).
  if (!isNameAt(line, 0, 'sip/2.0 ')) return undefined;
  const status = line.length < 11 ? undefined : parseInteger(line.slice(8, 11), 699);
  if (status === undefined || status < 100) return undefined;
  if (line.length > 11 && line.charCodeAt(11) !== 0x20) return undefined;
  return { method: '', requestUri: '', status, version: '2.0', defect: undefined };
}
