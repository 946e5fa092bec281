import { CONTENT_ENCODING, CONTENT_TYPE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

/** A session description inside a body. */
export interface BodyPart {
  readonly start: number;
  readonly end: number;
  /** The value of its part's own Content-Length, where a multipart body has one. */
  readonly length: { readonly start: number; readonly end: number } | undefined;
}

/** The session descriptions of a message. */
export interface SessionBody {
  /** What is offered or answered. More than one are alternatives, the last of them preferred (RFC 2046 5.1.4). */
  readonly session: readonly BodyPart[];
  /** Early sessions (RFC 3959), exchanges of their own beside the one that makes the call. */
  readonly aside: readonly BodyPart[];
  /** Why there may be more, that nobody reads or changes on the way. */
  readonly problem: string | undefined;
}

/** The same while it is looked for. */
interface Found {
  readonly session: BodyPart[];
  readonly aside: BodyPart[];
  problem: string | undefined;
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

/** Undefined where the message has none, and no part that may be one. */
export function sessionBodyOf(message: Message): SessionBody | undefined {
  if (message.bodyEnd <= message.bodyStart) return undefined;
  const type = message.value(CONTENT_TYPE);
  if (type === undefined || !mayDescribe(type)) return undefined;
  const plain = isPlain(message.value(CONTENT_ENCODING));
  const aside = isAside(message.valueByName('content-disposition') ?? '');
  const found: Found = { session: [], aside: [], problem: undefined };
  look(message.body, { type, plain, aside }, undefined, 0, message.bodyEnd - message.bodyStart, 0, found);
  const none = found.session.length === 0 && found.aside.length === 0 && found.problem === undefined;
  return none ? undefined : found;
}

/** The body with other descriptions in the places of all of its own. */
export function replaceDescriptions(
  body: string,
  { session, aside }: SessionBody,
  describe: (part: BodyPart) => string,
): string {
  let written = body;
  // From the end, so that what comes before keeps its place.
  for (const part of [...session, ...aside].sort((a, b) => b.start - a.start)) {
    const { start, end, length } = part;
    const description = describe(part);
    const head = length
      ? written.slice(0, length.start) + String(description.length) + written.slice(length.end, start)
      : written.slice(0, start);
    written = head + description + written.slice(end);
  }
  return written;
}

/** Looks into a body or a part of one; gives how many sessions it describes, alternatives as one. */
function look(
  body: string,
  { type, plain, aside }: Kind,
  length: BodyPart['length'],
  start: number,
  end: number,
  depth: number,
  found: Found,
): number {
  if (isSealed(type)) found.problem ??= sealed;
  else if (isSdp(type) && !plain) found.problem ??= packed;
  else if (isSdp(type)) (aside ? found.aside : found.session).push({ start, end, length });
  else if (isMultipart(type)) return lookInParts(body, { type, plain, aside }, start, end, depth + 1, found);
  return isSdp(type) && plain && !aside ? 1 : 0;
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
  if (boundary === undefined) return fail('The multipart body has no boundary.');
  const alternative = /^multipart\/alternative\b/i.test(type);
  const delimiter = `--${boundary}`;
  let sessions = 0;
  let at = delimiterAt(body, delimiter, start, end);
  for (let parts = 0; at >= 0; parts++) {
    // Two more dashes end the list.
    if (body.startsWith('--', at + delimiter.length)) return sessions;
    if (parts === maxParts) return fail(`The multipart body has more than ${maxParts} parts.`);
    const line = body.indexOf('\n', at + delimiter.length);
    const next = line < 0 ? -1 : delimiterAt(body, delimiter, line + 1, end);
    if (next < 0) break;
    // The line ending before a delimiter belongs to it.
    const partEnd = body[next - 2] === '\r' ? next - 2 : next - 1;
    const more = lookInPart(body, line + 1, partEnd, aside, depth, found);
    sessions = alternative ? Math.max(sessions, more) : sessions + more;
    if (sessions > 1) found.problem ??= several;
    at = next;
  }
  return fail('The multipart body has no end: no delimiter with two dashes after it.');
}

function lookInPart(
  body: string,
  start: number,
  end: number,
  isInside: boolean,
  depth: number,
  found: Found,
): number {
  let type: string | undefined;
  let plain = true;
  let aside = isInside;
  let length: BodyPart['length'];
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
    const colon = line.indexOf(':');
    // By hand: a regular expression for both ends of the value takes a square of its blanks.
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, Math.max(0, colon)).trimEnd().toLowerCase()) {
      case 'content-type':
      case 'c':
        type = value;
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
        length = { start: valueStart, end: valueStart + value.length };
        break;
      }
    }
    at = newline + 1;
  }
  // A part without a type is plain text (RFC 2046 5.1).
  if (type === undefined || at > end) return 0;
  return look(body, { type, plain, aside }, length, at, end, depth, found);
}

/** The next delimiter that stands at the start of a line. */
function delimiterAt(body: string, delimiter: string, from: number, end: number): number {
  for (let at = body.indexOf(delimiter, from); at >= 0 && at < end; at = body.indexOf(delimiter, at + 1)) {
    if (at === 0 || body[at - 1] === '\n') return at;
  }
  return -1;
}

function isSdp(type: string): boolean {
  return type === 'application/sdp' || /^application\/sdp\s*(;|$)/i.test(type);
}

/** S/MIME (RFC 8551, RFC 1847) and OpenPGP (RFC 3156). */
function isSealed(type: string): boolean {
  return /^(?:application\/(?:x-)?pkcs7-mime|multipart\/(?:signed|encrypted))\b/i.test(type);
}

/** All others have no description: most bodies are not looked into. */
function mayDescribe(type: string): boolean {
  return isSdp(type) || isMultipart(type) || isSealed(type);
}

function isAside(disposition: string): boolean {
  return /^early-session\b/i.test(disposition);
}

function isMultipart(type: string): boolean {
  return /^multipart\//i.test(type);
}

function boundaryOf(type: string): string | undefined {
  const match = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s";,]{1,70}))/i.exec(type);
  return match?.[1] ?? match?.[2];
}

function isPlain(encoding: string | undefined): boolean {
  return encoding === undefined || /^(?:identity)?$/i.test(encoding);
}
