import {
  findOutside,
  isNameAt,
  isSpace,
  parseInteger,
  quotedEnd,
  skipSpace,
  tokenEnd,
  trimEnd,
} from './grammar.ts';
import { withoutParam } from './params.ts';

/** One hop of a Via header field (RFC 3261 20.42). */
export interface Via {
  /** `2.0`, or what else stands there. */
  readonly version: string;
  /** Upper case: `UDP`, `TCP`, `TLS`, `WS`… */
  readonly transport: string;
  /** sent-by as written; IPv6 in brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** `;branch=…;rport`, with the leading semicolon, or `''`. */
  readonly params: string;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  readonly maddr: string | undefined;
  /** `''` where it is asked for without a value (RFC 3581), undefined where it is absent. */
  readonly rport: string | undefined;
  /** Where the `rport` parameter begins in `params`, from its semicolon, and ends; -1 where there is none. */
  readonly rportStart: number;
  readonly rportEnd: number;
  /** Where this hop begins and ends in the text that it was read from. */
  readonly start: number;
  readonly end: number;
}

/** Reads the first hop in [start, end); undefined where it is malformed. White space is allowed where 25.1 allows it. */
export function parseVia(text: string, start: number, end: number): Via | undefined {
  const hopEnd = findOutside(text, 0x2c, start, end);
  const hopStart = skipSpace(text, start, hopEnd);
  let i = word(text, hopStart, hopEnd, 'SIP');
  i = slash(text, i, hopEnd);
  if (i < 0) return undefined;
  const versionStart = i;
  i = tokenEnd(text, i, hopEnd);
  // Another version is parsed as well, so that the request can be answered with 505.
  const version = text.startsWith('2.0/', versionStart) ? '2.0' : text.slice(versionStart, i);
  i = slash(text, i, hopEnd);
  if (i < 0) return undefined;
  const transportEnd = tokenEnd(text, i, hopEnd);
  if (transportEnd === i || transportEnd === hopEnd || !isSpace(text.charCodeAt(transportEnd)))
    return undefined;
  const transport = text.startsWith('UDP ', i) ? 'UDP' : text.slice(i, transportEnd).toUpperCase();
  i = skipSpace(text, transportEnd, hopEnd);
  const hostStart = i;
  if (text.charCodeAt(i) === 0x5b) {
    i = text.indexOf(']', i) + 1;
    if (i === 0 || i > hopEnd) return undefined;
  } else {
    // An unbracketed IPv6 sent-by is malformed: its colons would read as ports (RFC 5118 4.5).
    i = tokenEnd(text, i, hopEnd);
  }
  if (i === hostStart) return undefined;
  const host = text.slice(hostStart, i);
  i = skipSpace(text, i, hopEnd);
  let port: number | undefined;
  if (text.charCodeAt(i) === 0x3a && i < hopEnd) {
    const portStart = skipSpace(text, i + 1, hopEnd);
    i = tokenEnd(text, portStart, hopEnd);
    port = parseInteger(text.slice(portStart, i), 65535);
    if (port === undefined) return undefined;
    i = skipSpace(text, i, hopEnd);
  }
  if (i < hopEnd && text.charCodeAt(i) !== 0x3b) return undefined;
  const lastEnd = trimEnd(text, i, hopEnd);
  const via: MutableVia = {
    version,
    transport,
    host,
    port,
    params: text.slice(i, lastEnd),
    branch: undefined,
    received: undefined,
    maddr: undefined,
    rport: undefined,
    rportStart: -1,
    rportEnd: -1,
    start: hopStart,
    end: lastEnd,
  };
  readParams(via, text, i, lastEnd);
  return via;
}

type MutableVia = { -readonly [Key in keyof Via]: Via[Key] };

/** Branch, received, maddr and rport in one pass; of a parameter that stands twice the first counts. */
function readParams(via: MutableVia, text: string, start: number, end: number): void {
  for (let i = start; i < end; ) {
    const nameStart = skipSpace(text, i + 1, end);
    const nameEnd = tokenEnd(text, nameStart, end);
    let at = skipSpace(text, nameEnd, end);
    let valueStart = at;
    let valueEnd = at;
    if (at < end && text.charCodeAt(at) === 0x3d) {
      valueStart = skipSpace(text, at + 1, end);
      at = endOfValue(text, valueStart, end);
      valueEnd = trimEnd(text, valueStart, at);
    }
    switch (nameEnd - nameStart) {
      case 5:
        if (isNameAt(text, nameStart, 'maddr')) via.maddr ??= text.slice(valueStart, valueEnd);
        else if (via.rport === undefined && isNameAt(text, nameStart, 'rport')) {
          via.rport = text.slice(valueStart, valueEnd);
          via.rportStart = i - start;
          via.rportEnd = Math.max(valueEnd, nameEnd) - start;
        }
        break;
      case 6:
        if (isNameAt(text, nameStart, 'branch')) via.branch ??= text.slice(valueStart, valueEnd);
        break;
      case 8:
        if (isNameAt(text, nameStart, 'received')) via.received ??= text.slice(valueStart, valueEnd);
        break;
    }
    const next = text.indexOf(';', at);
    if (next < 0 || next >= end) return;
    i = next;
  }
}

function endOfValue(text: string, start: number, end: number): number {
  if (text.charCodeAt(start) === 0x22) {
    const close = quotedEnd(text, start, end);
    return close < 0 ? end : close;
  }
  const semicolon = text.indexOf(';', start);
  return semicolon < 0 || semicolon > end ? end : semicolon;
}

/**
 * The hop as the server that received it writes it: with `received` where sent-by is not the source address or
 * `rport` was asked for (RFC 3261 18.2.1, RFC 3581 4), and with the source port in `rport`. Undefined where
 * nothing has to change. What the sender claimed in these two parameters is not believed.
 */
export function withSource(
  via: Via,
  sourceAddress: string,
  sourcePort: number,
  sameHost: boolean,
): string | undefined {
  const wantsPort = via.rport !== undefined;
  if (sameHost && !wantsPort && via.received === undefined) return undefined;
  let { params } = via;
  if (wantsPort) {
    params = `${params.slice(0, via.rportStart)};rport=${sourcePort}${params.slice(via.rportEnd)}`;
  }
  if (via.received !== undefined) params = withoutParam(params, 'received');
  if (!sameHost || wantsPort) params += `;received=${sourceAddress}`;
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/${via.version}/${via.transport} ${via.host}${port}${params}`;
}

function word(text: string, at: number, end: number, expected: string): number {
  if (at < 0 || at + expected.length > end) return -1;
  if (text.startsWith(expected, at)) return at + expected.length;
  return text.slice(at, at + expected.length).toUpperCase() === expected ? at + expected.length : -1;
}

function slash(text: string, at: number, end: number): number {
  if (at < 0) return -1;
  const i = skipSpace(text, at, end);
  return text.charCodeAt(i) === 0x2f ? skipSpace(text, i + 1, end) : -1;
}
