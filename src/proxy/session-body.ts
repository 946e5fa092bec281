import { applySplices, type Splice } from '../sdp/splice.ts';
import { CONTENT_ENCODING, CONTENT_TYPE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

/** From `start` to `end`, exclusive. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** A session description inside a body. */
export type BodyPart = Span;

/** The Content-Length that a part of a multipart body says of itself. */
interface PartLength {
  readonly value: Span;
  /** What it counts. */
  readonly content: Span;
}

/** The session descriptions of a message. */
export interface SessionBody {
  /** What is offered or answered. More than one are alternatives, the last of them preferred (RFC 2046 5.1.4). */
  readonly session: readonly BodyPart[];
  /** Early sessions (RFC 3959), exchanges of their own beside the one that makes the call. */
  readonly aside: readonly BodyPart[];
  /** Of parts with descriptions inside, an inner one before that which it lies in. */
  readonly lengths: readonly PartLength[];
  /** Why there may be more, that nobody reads or changes on the way. */
  readonly problem: string | undefined;
}

/** The same while it is looked for. */
interface Found {
  readonly session: BodyPart[];
  readonly aside: BodyPart[];
  readonly lengths: PartLength[];
  problem: string | undefined;
  parts: number;
}

/** What is said of a body, or of a part of one. */
interface Kind {
  readonly type: string;
  /** Neither compressed nor in an alphabet of its own. */
  readonly plain: boolean;
  readonly aside: boolean;
}

const maxDepth = 3;
const maxParts = 32;
/** Of a header in a part so much is read. */
const maxHeader = 1000;

const packed = 'The session description is encoded: it is read as text.';
const sealed =
  'A part of the body is encrypted or signed: nobody on the way can read, or may change, what it describes.';
const several =
  'The body has several session descriptions, and nothing says which of them counts (RFC 5621).';
const typedTwice = 'A body has more than one Content-Type: who reads it may take either.';

/** Undefined where the message has none, and no part that may be one. */
export function sessionBodyOf(message: Message): SessionBody | undefined {
  if (message.bodyEnd <= message.bodyStart) return undefined;
  const type = message.value(CONTENT_TYPE) || untyped(message);
  const found: Found = { session: [], aside: [], lengths: [], problem: undefined, parts: 0 };
  if (type !== undefined && message.count(CONTENT_TYPE) > 1) {
    const types = message.values(CONTENT_TYPE);
    return types.some(mayDescribe) ? { ...found, problem: typedTwice } : undefined;
  }
  if (type === undefined || !mayDescribe(type)) return undefined;
  const plain = isPlain(message.value(CONTENT_ENCODING));
  const aside = isAside(message.valueByName('content-disposition') ?? '');
  const whole = { start: 0, end: message.bodyEnd - message.bodyStart };
  look(message.body, { type, plain, aside }, whole, 0, found);
  const none = found.session.length === 0 && found.aside.length === 0 && found.problem === undefined;
  return none ? undefined : found;
}

/** Without a type it is none (RFC 3261 20.15), but there are telephones and switches that read it all the same. */
function untyped({ text, bodyStart }: Message): string | undefined {
  return /^v=0/i.test(text.slice(bodyStart, bodyStart + 3)) ? 'application/sdp' : undefined;
}

/** The body with other descriptions in the places of all of its own. */
export function replaceDescriptions(
  body: string,
  { session, aside, lengths }: SessionBody,
  describe: (part: BodyPart) => string,
): string {
  const splices: Splice[] = [...session, ...aside].map((part) => ({ ...part, text: describe(part) }));
  for (const { value, content } of lengths) {
    let length = content.end - content.start;
    for (const { start, end, text } of splices) {
      if (start >= content.start && end <= content.end) length += text.length - (end - start);
    }
    splices.push({ ...value, text: String(length) });
  }
  return applySplices(body, splices);
}

/** Looks into a body or a part of one; gives how many sessions it describes, alternatives as one. */
function look(body: string, kind: Kind, { start, end }: Span, depth: number, found: Found): number {
  const { plain, aside } = kind;
  const name = nameOf(kind.type);
  if (isSealed(name)) found.problem ??= sealed;
  else if (isSdp(name) && !plain) found.problem ??= packed;
  else if (isSdp(name)) (aside ? found.aside : found.session).push({ start, end });
  else if (isMultipart(name)) return lookInParts(body, kind, start, end, depth + 1, found);
  return isSdp(name) && plain && !aside ? 1 : 0;
}

/** Walks the parts between `start` and `end` (RFC 2046 5.1). */
function lookInParts(
  body: string,
  { type, plain, aside }: Kind,
  start: number,
  end: number,
  depth: number,
  found: Found,
): number {
  const fail = (problem: string): number => {
    found.problem ??= problem;
    return 0;
  };
  if (!plain) return fail('The multipart body is encoded: it is read as text.');
  if (depth > maxDepth) return fail(`Multipart bodies are nested: ${maxDepth} levels are read.`);
  const boundary = boundaryOf(type);
  if (boundary === undefined) return fail('The multipart body has no boundary that can be read.');
  const alternative = nameOf(type) === 'multipart/alternative';
  const delimiter = `--${boundary}`;
  let sessions = 0;
  let describes = false;
  let at = delimiterAt(body, delimiter, start, end);
  while (at >= 0) {
    // Two more dashes end the list.
    const last = body.startsWith('--', at + delimiter.length);
    const rest = at + delimiter.length + (last ? 2 : 0);
    const newline = body.indexOf('\n', rest);
    const lineEnd = newline < 0 || newline >= end ? end : newline;
    const exact = body.slice(rest, lineEnd).trim() === '';
    const next = lineEnd === end ? -1 : delimiterAt(body, delimiter, lineEnd + 1, end);
    if (last && exact) return next < 0 ? sessions : fail('The multipart body goes on after its end.');
    if (found.parts++ === maxParts) return fail(`The multipart body has more than ${maxParts} parts.`);
    if (next < 0) break;
    // The line ending before a delimiter belongs to it.
    const partEnd = body[next - 2] === '\r' ? next - 2 : next - 1;
    const before = foundIn(found);
    const more = lookInPart(body, lineEnd + 1, partEnd, aside, depth, found);
    sessions = alternative ? Math.max(sessions, more) : sessions + more;
    if (sessions > 1) found.problem ??= several;
    describes = foundIn(found) > before || (describes && !exact);
    // RFC 2046 5.1.1 compares the beginning of a line, and many compare the whole: to them it is one part with the last.
    if (describes && !exact)
      found.problem ??= 'A line beside the session description is a delimiter or none.';
    at = next;
  }
  return fail('The multipart body has no end: no delimiter with two dashes after it.');
}

/** How much was found, bad news included. */
function foundIn({ session, aside, problem }: Found): number {
  return session.length + aside.length + (problem === undefined ? 0 : 1);
}

function lookInPart(
  body: string,
  start: number,
  end: number,
  isInside: boolean,
  depth: number,
  found: Found,
): number {
  const types: string[] = [];
  let plain = true;
  let aside = isInside;
  const lengths: Span[] = [];
  let at = start;
  for (; at < end; ) {
    let newline = body.indexOf('\n', at);
    // A line that begins with a blank goes on with the one before (RFC 5322 2.2.3).
    while (newline > at + 1 && (body[newline + 1] === ' ' || body[newline + 1] === '\t'))
      newline = body.indexOf('\n', newline + 1);
    if (newline < 0 || newline >= end) return 0;
    const lineEnd = body[newline - 1] === '\r' ? newline - 1 : newline;
    if (lineEnd <= at) {
      at = newline + 1;
      break;
    }
    const line = body.slice(at, Math.min(lineEnd, at + maxHeader));
    if (/\r(?!\n)/.test(line)) found.problem ??= 'A carriage return stands inside a header of a part.';
    const colon = line.indexOf(':');
    // By hand: a regular expression for both ends of the value takes a square of its blanks.
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, Math.max(0, colon)).trimEnd().toLowerCase()) {
      case 'content-type':
      case 'c':
        types.push(value);
        break;
      case 'content-encoding':
      case 'e':
        plain &&= isPlain(value);
        break;
      case 'content-transfer-encoding':
        plain &&= /^(?:binary|[78]bit)$/i.test(value);
        break;
      case 'content-disposition':
        aside ||= isAside(value);
        break;
      case 'content-length':
      case 'l': {
        const valueStart = body.indexOf(value, at + colon + 1);
        lengths.push({ start: valueStart, end: valueStart + value.length });
        break;
      }
    }
    at = newline + 1;
  }
  if (types.length > 1 && types.some(mayDescribe)) found.problem ??= typedTwice;
  const [type] = types;
  // A part without a type is plain text (RFC 2046 5.1).
  if (type === undefined || at > end) return 0;
  const before = foundIn(found);
  const content = { start: at, end };
  const sessions = look(body, { type, plain, aside }, content, depth, found);
  if (foundIn(found) > before) for (const value of lengths) found.lengths.push({ value, content });
  return sessions;
}

/** The next delimiter that stands at the start of a line. */
function delimiterAt(body: string, delimiter: string, from: number, end: number): number {
  for (let at = body.indexOf(delimiter, from); at >= 0 && at < end; at = body.indexOf(delimiter, at + 1)) {
    if (at === 0 || body[at - 1] === '\n') return at;
  }
  return -1;
}

/** Type and subtype, in lower case: there may be blanks around the slash (RFC 3261 25.1). */
function nameOf(type: string): string {
  if (type === 'application/sdp') return type;
  const semicolon = type.indexOf(';');
  const [main = '', sub = ''] = (semicolon < 0 ? type : type.slice(0, semicolon)).split('/', 2);
  return `${main.trim()}/${sub.trim()}`.toLowerCase();
}

function isSdp(name: string): boolean {
  return name === 'application/sdp';
}

/** S/MIME (RFC 8551, RFC 1847) and OpenPGP (RFC 3156). */
function isSealed(name: string): boolean {
  return /^(?:application\/(?:x-)?pkcs7-mime|multipart\/(?:signed|encrypted))$/.test(name);
}

/** All others have no description: most bodies are not looked into. */
function mayDescribe(type: string): boolean {
  const name = nameOf(type);
  return isSdp(name) || isMultipart(name) || isSealed(name);
}

function isAside(disposition: string): boolean {
  return /^early-session\b/i.test(disposition);
}

function isMultipart(name: string): boolean {
  return name.startsWith('multipart/');
}

/** Undefined where there is none, or more than one, or what stands behind the type is no list of parameters. */
function boundaryOf(type: string): string | undefined {
  const parameter = /\s*;\s*(?:([^\s=;"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*)?)?/y;
  let boundary: string | undefined;
  for (parameter.lastIndex = Math.max(0, type.indexOf(';')); parameter.lastIndex < type.length; ) {
    const match = parameter.exec(type);
    if (!match) return undefined;
    const [, name, quoted, token] = match;
    if (name?.toLowerCase() !== 'boundary') continue;
    if (boundary !== undefined) return undefined;
    boundary = quoted?.replace(/\\(.)/g, '$1') ?? token ?? '';
  }
  return boundary && boundary.length <= 70 ? boundary : undefined;
}

function isPlain(encoding: string | undefined): boolean {
  return encoding === undefined || /^(?:identity)?$/i.test(encoding);
}
