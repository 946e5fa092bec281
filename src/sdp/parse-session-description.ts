import { SdpError } from './sdp-error.ts';
import type {
  AddressSpan,
  AddressType,
  Direction,
  MediaSection,
  RtcpAttribute,
  SdpLine,
  SessionDescription,
} from './session-description.ts';

const maxLength = 65_536;
const maxSections = 64;

type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends readonly (infer E)[]
    ? E[]
    : T[K] extends ReadonlyMap<infer Key, infer Value>
      ? Map<Key, Value>
      : T[K];
};

/**
 * Indexes a session description. Lines that are not understood are left alone, wherever they stand; an error is
 * thrown only where a relay would have to guess. Throws SdpError.
 */
export function parseSessionDescription(text: string): SessionDescription {
  if (text.length > maxLength) {
    throw new SdpError(
      'sdp.too-long',
      `The session description has ${text.length} bytes; ${maxLength} are read.`,
    );
  }
  if (!/^v=0[ \t]*\r?\n/.test(text)) {
    throw new SdpError('sdp.version', `A session description begins with the line v=0, not ${shown(text)}.`);
  }
  // Some take it for the end of the line: they would read lines that are none here.
  if (/\r(?!\n|$)/.test(text)) {
    throw new SdpError(
      'sdp.line-ending',
      'A carriage return stands inside a line of the session description: lines end with CR LF (RFC 8866 5).',
    );
  }
  const session: Omit<Mutable<SessionDescription>, 'origin'> & { origin: AddressSpan | undefined } = {
    text,
    eol: text.charCodeAt(text.indexOf('\n') - 1) === 0x0d ? '\r\n' : '\n',
    origin: undefined,
    connections: [],
    direction: undefined,
    detours: [],
    iceUfrag: undefined,
    iceLite: false,
    bundles: [],
    media: [],
  };
  let section: Mutable<MediaSection> | undefined;
  for (let start = 0; start < text.length; ) {
    const line = lineAt(text, start);
    start = line.next;
    if (text[line.start + 1] !== '=') continue;
    const level = section ?? session;
    switch (text[line.start]) {
      case 'o':
        if (!section && !session.origin) session.origin = origin(text, line);
        else level.detours.push(line);
        break;
      case 'c':
        level.connections.push(connection(text, line));
        break;
      case 'm':
        if (session.media.length === maxSections) {
          throw new SdpError(
            'sdp.too-many-media',
            `More than ${maxSections} m= lines: nobody offers that many.`,
          );
        }
        section = mediaLine(text, line);
        session.media.push(section);
        break;
      case 'i':
        if (section && section.connectionAt === line.start) section.connectionAt = line.next;
        break;
      case 'a':
        attribute(text, line, session, section);
        break;
    }
  }
  if (!session.origin) throw new SdpError('sdp.origin', 'The session description has no o= line.');
  return { ...session, origin: session.origin };
}

function lineAt(text: string, start: number): SdpLine {
  const newline = text.indexOf('\n', start);
  if (newline < 0) {
    // What its Content-Length cut may have lost the last character.
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    return { start, end, next: text.length };
  }
  const end = newline > start && text.charCodeAt(newline - 1) === 0x0d ? newline - 1 : newline;
  return { start, end, next: newline + 1 };
}

function mediaLine(text: string, line: SdpLine): Mutable<MediaSection> {
  const value = text.slice(line.start, line.end);
  const match = /^m=(\S+) +(\d{1,5})(?:\/(\d{1,5}))? +(\S+)/.exec(value);
  if (!match || Number(match[2]) > 65_535) {
    throw new SdpError('sdp.media', `Expected m=<media> <port> <proto> <fmt>, found ${shown(value)}.`);
  }
  const portStart = line.start + value.indexOf(match[2]!, match[1]!.length + 2);
  return {
    line,
    media: match[1]!,
    port: Number(match[2]),
    portCount: match[3] === undefined ? 1 : Number(match[3]),
    portStart,
    portEnd: portStart + match[2]!.length + (match[3] === undefined ? 0 : match[3].length + 1),
    proto: match[4]!,
    connections: [],
    direction: undefined,
    detours: [],
    rtcp: undefined,
    rtcpMux: [],
    rtcpMuxOnly: [],
    mid: undefined,
    iceUfrag: undefined,
    rtpMaps: new Map(),
    connectionAt: line.next,
  };
}

/** The user name may be anything, spaces included in the wild: the address is what the line ends with. */
function origin(text: string, line: SdpLine): AddressSpan {
  const value = text.slice(line.start, line.end);
  const span = addressSpan(value, line.start, /[ \t]IN +(IP[46]) +(\S+)[ \t]*$/d);
  if (!span) {
    throw new SdpError(
      'sdp.origin',
      `Expected o=<user> <id> <version> IN IP4 <address>, found ${shown(value)}.`,
    );
  }
  return span;
}

function connection(text: string, line: SdpLine): AddressSpan {
  const value = text.slice(line.start, line.end);
  const span = addressSpan(value, line.start, /^c=IN +(IP[46]) +(\S+)[ \t]*$/d);
  if (!span) {
    throw new SdpError('sdp.connection', `Expected c=IN IP4 <address> (or IP6), found ${shown(value)}.`);
  }
  return span;
}

function rtcp(text: string, line: SdpLine): RtcpAttribute {
  const value = text.slice(line.start, line.end);
  const match = /^a=rtcp:(\d{1,5})(?:[ \t](.*))?$/.exec(value);
  const address = addressSpan(value, line.start, /[ \t]IN +(IP[46]) +(\S+)[ \t]*$/d);
  // What stands there and is no address that can be replaced may still show one.
  if (!match || Number(match[1]) > 65_535 || (!address && match[2]?.trim())) {
    throw new SdpError(
      'sdp.rtcp',
      `Expected a=rtcp:<port> [IN IP4 <address>] (RFC 3605), found ${shown(value)}.`,
    );
  }
  const portStart = line.start + 'a=rtcp:'.length;
  return {
    port: Number(match[1]),
    portStart,
    portEnd: portStart + match[1]!.length,
    address,
  };
}

/** `pattern` has the flag d, the type in group 1 and the address in group 2. */
function addressSpan(value: string, offset: number, pattern: RegExp): AddressSpan | undefined {
  const match = pattern.exec(value);
  if (!match) return undefined;
  const [start] = match.indices![1]!;
  const [, end] = match.indices![2]!;
  const address = match[2]!;
  const slash = address.indexOf('/');
  return {
    start: offset + start,
    end: offset + end,
    type: match[1] as AddressType,
    address: slash < 0 ? address : address.slice(0, slash),
  };
}

/** RFC 8839 5 and 4.2.5, and the names that RFC 5245 and trickle ICE (RFC 8840) add. */
const iceNames: ReadonlySet<string> = new Set([
  'candidate',
  'remote-candidates',
  'end-of-candidates',
  'ice-ufrag',
  'ice-pwd',
  'ice-options',
  'ice-lite',
  'ice-mismatch',
  'ice-pacing',
]);

/**
 * More addresses: of alternative connections (RFC 6947, and one before it), of capabilities (RFC 7006), of senders that
 * are let through (RFC 4570).
 */
const addressNames: ReadonlySet<string> = new Set(['altc', 'alt', 'ccap', 'source-filter']);

interface AttributeLevel {
  direction: Direction | undefined;
  iceUfrag: string | undefined;
  readonly detours: SdpLine[];
}

function attribute(
  text: string,
  line: SdpLine,
  session: AttributeLevel & Pick<Mutable<SessionDescription>, 'bundles' | 'iceLite'>,
  section: Mutable<MediaSection> | undefined,
): void {
  const level: AttributeLevel = section ?? session;
  const colon = text.indexOf(':', line.start);
  const name = text.slice(line.start + 2, colon < 0 || colon > line.end ? line.end : colon).trimEnd();
  switch (name) {
    case 'sendrecv':
    case 'sendonly':
    case 'recvonly':
    case 'inactive':
      level.direction = name;
      break;
    case 'rtcp-mux':
      section?.rtcpMux.push(line);
      break;
    case 'rtcp':
      if (section && !section.rtcp) section.rtcp = rtcp(text, line);
      else level.detours.push(line);
      break;
    case 'rtcp-mux-only':
      section?.rtcpMuxOnly.push(line);
      break;
    case 'mid':
      if (section) section.mid ??= text.slice(colon + 1, line.end).trim();
      break;
    case 'group': {
      const [semantics, ...mids] = text
        .slice(colon + 1, line.end)
        .trim()
        .split(/[ \t]+/);
      if (!section && semantics === 'BUNDLE' && session.bundles.length < maxSections)
        session.bundles.push(mids.slice(0, maxSections));
      break;
    }
    case 'rtpmap': {
      const map = /^[ \t]*(\d{1,3})[ \t]+([^/\s]+)\/(\d{1,6})(?:\/(\d{1,2}))?/.exec(
        text.slice(colon + 1, line.end),
      );
      if (section && map && Number(map[1]) < 128) {
        section.rtpMaps.set(Number(map[1]), {
          encoding: map[2]!,
          rate: Number(map[3]),
          channels: Number(map[4] ?? 1),
        });
      }
      break;
    }
    default:
      if (name === 'ice-ufrag') level.iceUfrag ??= text.slice(colon + 1, line.end).trim();
      else if (name === 'ice-lite' && !section) session.iceLite = true;
      if (iceNames.has(name) || addressNames.has(name)) level.detours.push(line);
  }
}

/** At most 60 characters, without control characters: fit for a log line. */
function shown(text: string): string {
  const first = text.slice(0, 60).split(/[\r\n]/, 1)[0]!;
  return JSON.stringify(first.replace(/[\x00-\x1f\x7f-\xff]/g, '?'));
}
