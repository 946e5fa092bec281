import { CONTENT_ENCODING, CONTENT_TYPE } from '../sip/message/header-id.ts';
import type { Message } from '../sip/message/message.ts';

/** Where the session description of a message lies in its body. */
export interface SessionBody {
  readonly start: number;
  readonly end: number;
  /** The value of its part's own Content-Length, where a multipart body has one. */
  readonly length: { readonly start: number; readonly end: number } | undefined;
  /** Why nobody reads it on the way, where that is so. */
  readonly problem: string | undefined;
}

const maxDepth = 3;
const maxParts = 32;
/** Of a header in a part so much is read. */
const maxHeader = 1000;

const packed = 'The session description is encoded: it is read as text.';

/**
 * Undefined where the message describes no session. Of several parts the first description counts (RFC 5621); parts
 * that cannot be read, to the end of their list, may hold one.
 */
export function sessionBodyOf(message: Message): SessionBody | undefined {
  if (message.bodyEnd <= message.bodyStart) return undefined;
  const type = message.value(CONTENT_TYPE);
  if (type === undefined) return undefined;
  const end = message.bodyEnd - message.bodyStart;
  const plain = isPlain(message.value(CONTENT_ENCODING));
  if (isSdp(type)) return { start: 0, end, length: undefined, problem: plain ? undefined : packed };
  return isMultipart(type) ? inParts(message.body, type, plain, 0, end, 1) : undefined;
}

function unreadable(start: number, end: number, problem: string): SessionBody {
  return { start, end, length: undefined, problem };
}

/** The body with another description in the place of that one. */
export function replaceSessionBody(body: string, where: SessionBody, description: string): string {
  const { start, end, length } = where;
  const head = length
    ? body.slice(0, length.start) + String(description.length) + body.slice(length.end, start)
    : body.slice(0, start);
  return head + description + body.slice(end);
}

/** Walks the parts between `start` and `end` (RFC 2046 5.1). */
function inParts(
  body: string,
  type: string,
  plain: boolean,
  start: number,
  end: number,
  depth: number,
): SessionBody | undefined {
  if (!plain) return unreadable(start, end, 'The multipart body is encoded: it is read as text.');
  if (depth > maxDepth)
    return unreadable(start, end, `Multipart bodies are nested: ${maxDepth} levels are read.`);
  const boundary = boundaryOf(type);
  if (boundary === undefined) return unreadable(start, end, 'The multipart body has no boundary.');
  const delimiter = `--${boundary}`;
  let at = delimiterAt(body, delimiter, start, end);
  for (let parts = 0; at >= 0; parts++) {
    // Two more dashes end the list.
    if (body.startsWith('--', at + delimiter.length)) return undefined;
    if (parts === maxParts)
      return unreadable(start, end, `The multipart body has more than ${maxParts} parts.`);
    const line = body.indexOf('\n', at + delimiter.length);
    const next = line < 0 ? -1 : delimiterAt(body, delimiter, line + 1, end);
    if (next < 0) break;
    // The line ending before a delimiter belongs to it.
    const partEnd = body[next - 2] === '\r' ? next - 2 : next - 1;
    const found = inPart(body, line + 1, partEnd, depth);
    if (found) return found;
    at = next;
  }
  return unreadable(start, end, 'The multipart body has no end: no delimiter with two dashes after it.');
}

function inPart(body: string, start: number, end: number, depth: number): SessionBody | undefined {
  let type: string | undefined;
  let plain = true;
  let length: SessionBody['length'];
  let at = start;
  for (; at < end; ) {
    let newline = body.indexOf('\n', at);
    // A line that begins with a blank goes on with the one before (RFC 5322 2.2.3).
    while (newline > at + 1 && (body[newline + 1] === ' ' || body[newline + 1] === '\t'))
      newline = body.indexOf('\n', newline + 1);
    if (newline < 0 || newline >= end) return undefined;
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
        // An early session (RFC 3959) is an exchange of its own, beside the one that makes the call.
        if (/^early-session\b/i.test(value)) return undefined;
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
  if (type === undefined || at > end) return undefined;
  if (isSdp(type)) return { start: at, end, length, problem: plain ? undefined : packed };
  return isMultipart(type) ? inParts(body, type, plain, at, end, depth + 1) : undefined;
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
