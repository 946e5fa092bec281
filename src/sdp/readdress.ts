import { familyOf, isUnspecified } from '../net/address.ts';
import { type AddressSpan, type SessionDescription, usesIce } from './session-description.ts';
import { applySplices, type Splice } from './splice.ts';

/** The port written into a section; `untouched` leaves the whole section as it came. */
export type SectionPort = number | 'untouched';

/** How a section has RTCP, as the reader is told. */
export interface RtcpForm {
  /** `a=rtcp-mux` stands there. */
  readonly beside: boolean;
  /** There is no port of its own to fall back to. */
  readonly alone: boolean;
}

/** What is written beside the addresses. */
export interface Additions {
  /** The line o= stays as it came. */
  readonly keepOrigin?: boolean | undefined;
  /** Attributes for the session, without line endings. */
  readonly session?: readonly string[] | undefined;
  /** The same by section. */
  readonly sections?: readonly (readonly string[])[] | undefined;
  /** By section; where nothing is said it has RTCP as it came. */
  readonly rtcp?: readonly (RtcpForm | undefined)[] | undefined;
}

/**
 * Writes a session description anew for a relay at `address`: `o=`, `c=`, the ports, `a=rtcp` (RFC 3605) become
 * the relay's, ICE lines go and others that would lead past it or show private addresses (without candidates the
 * peer falls back to plain RTP: RFC 8839 4.2.1). A connection of 0.0.0.0 is an old way to hold (RFC 3264 8.4) and
 * stays. All other bytes stay. `ports` has one entry a section; the RTCP port is the one after, unless the
 * section has both on one port.
 */
export function readdress(
  description: SessionDescription,
  address: string,
  ports: readonly SectionPort[],
  additions: Additions = {},
): string {
  const type = familyOf(address) === 'ipv6' ? 'IP6' : 'IP4';
  const splices: Splice[] = [];
  const holds = !usesIce(description);
  const write = (span: AddressSpan): void => {
    const held = holds && isUnspecified(span.address);
    const written = held ? (type === 'IP6' ? '::' : '0.0.0.0') : address;
    splices.push({ start: span.start, end: span.end, text: `${type} ${written}` });
  };

  // The address of o= is an identifier, never sent to, but it names a host that nobody outside need know.
  const { origin } = description;
  if (!additions.keepOrigin)
    splices.push({ start: origin.start, end: origin.end, text: `${type} ${address}` });

  // Without a section nobody lives by its address either.
  const relays = ports.length === 0 || ports.some((port) => port !== 'untouched');
  if (relays) {
    for (const span of description.connections) write(span);
    for (const line of description.detours) splices.push({ start: line.start, end: line.next, text: '' });
  }
  description.media.forEach((section, index) => {
    const port = ports[index] ?? 'untouched';
    if (port === 'untouched') {
      // It lived by the session's c=, which is the relay's from now on.
      const inherited = description.connections[0];
      if (relays && inherited && section.connections.length === 0 && section.port !== 0) {
        splices.push(insertedConnection(description, section.connectionAt, inherited));
      }
      return;
    }
    // `49170/2` becomes one port: what follows the slash counts layers, and only the base layer is relayed.
    splices.push({ start: section.portStart, end: section.portEnd, text: String(port) });
    for (const span of section.connections) write(span);
    for (const line of section.detours) splices.push({ start: line.start, end: line.next, text: '' });
    const form = additions.rtcp?.[index];
    // That it takes nothing else is no word of ours: who reads it and cannot do so may have two ports.
    const unsaid = form && [...(form.beside ? [] : section.rtcpMux), ...section.rtcpMuxOnly];
    for (const line of unsaid ?? []) splices.push({ start: line.start, end: line.next, text: '' });
    if (!section.rtcp) return;
    const { rtcp } = section;
    if (port !== 0) {
      const together = form ? form.alone : rtcp.port === section.port;
      splices.push({ start: rtcp.portStart, end: rtcp.portEnd, text: String(together ? port : port + 1) });
    }
    if (rtcp.address) write(rtcp.address);
  });
  addLines(description, additions, splices);
  return applySplices(description.text, splices);
}

/** Each at the end of its level. */
function addLines({ text, eol, media }: SessionDescription, additions: Additions, splices: Splice[]): void {
  const add = (lines: readonly string[], at: number): void => {
    if (lines.length === 0) return;
    const written = lines.join(eol);
    // The last line may have no end, unless it goes.
    const goes = splices.some(({ start, end, text: left }) => end === at && start < end && left === '');
    const ending = goes || at === 0 ? '' : missingEnd(text, at, eol);
    splices.push({ start: at, end: at, text: ending === '' ? written + eol : ending + written });
  };
  const endOf = (index: number): number => media[index + 1]?.line.start ?? text.length;
  if (additions.session) add(additions.session, endOf(-1));
  additions.sections?.forEach((lines, index) => {
    add(lines, endOf(index));
  });
}

function insertedConnection(description: SessionDescription, at: number, span: AddressSpan): Splice {
  const { text, eol } = description;
  const line = `c=IN ${text.slice(span.start, span.end)}`;
  const ending = missingEnd(text, at, eol);
  return { start: at, end: at, text: ending === '' ? line + eol : ending + line };
}

/** What the line before `at` lacks of a line ending. */
function missingEnd(text: string, at: number, eol: string): string {
  if (text.charCodeAt(at - 1) === 0x0a) return '';
  return text.charCodeAt(at - 1) === 0x0d ? '\n' : eol;
}
