/** Where a line lies in the text: `end` is before its line ending, `next` after it. */
export interface SdpLine {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

export type AddressType = 'IP4' | 'IP6';
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** An address inside a line; `start` to `end` is its `IP4 192.0.2.1`, with whatever TTL or count follows. */
export interface AddressSpan {
  readonly start: number;
  readonly end: number;
  readonly type: AddressType;
  /** An IP address or a name, without `/ttl`. */
  readonly address: string;
}

/** `a=rtcp:53020 IN IP4 192.0.2.1` (RFC 3605); the address is optional. */
export interface RtcpAttribute {
  readonly port: number;
  readonly portStart: number;
  readonly portEnd: number;
  readonly address: AddressSpan | undefined;
}

/** What the session level and each media section have in common. */
export interface SdpLevel {
  /** More than one only for layered multicast (RFC 8866 5.7). */
  readonly connections: readonly AddressSpan[];
  readonly direction: Direction | undefined;
  /** Lines that would lead past a relay: ICE (RFC 8839), other addresses to choose from, a second `a=rtcp`. */
  readonly detours: readonly SdpLine[];
  /** The user fragment (RFC 8839 5.4): who writes one does ICE. */
  readonly iceUfrag: string | undefined;
}

/** One `m=` line and the lines below it. */
export interface MediaSection extends SdpLevel {
  readonly line: SdpLine;
  readonly media: string;
  /** 0 where the stream is refused or switched off (RFC 3264 6, 8.2). */
  readonly port: number;
  /** The number after the slash in `49170/2`; 1 where there is none. */
  readonly portCount: number;
  /** `49170/2` lies from `portStart` to `portEnd`. */
  readonly portStart: number;
  readonly portEnd: number;
  readonly proto: string;
  readonly rtcp: RtcpAttribute | undefined;
  /** Its lines `a=rtcp-mux`: RTCP beside RTP on one port (RFC 5761). */
  readonly rtcpMux: readonly SdpLine[];
  /** Its lines `a=rtcp-mux-only`: there alone (RFC 8858). */
  readonly rtcpMuxOnly: readonly SdpLine[];
  /** Its name in groups (RFC 5888). */
  readonly mid: string | undefined;
  /** Encoding names and clock rates by payload type, as far as they are told (RFC 8866 6.6). */
  readonly rtpMaps: ReadonlyMap<
    number,
    { readonly encoding: string; readonly rate: number; readonly channels: number }
  >;
  /** Where a `c=` line belongs that the section does not have yet: after `m=` and `i=` (RFC 8866 9). */
  readonly connectionAt: number;
}

/**
 * A session description (RFC 8866, RFC 4566) as its text, one character a byte, and an index of the lines that
 * a media relay cares for. Nothing is ever written from the index: edits are splices of the text.
 */
export interface SessionDescription extends SdpLevel {
  readonly text: string;
  /** The line ending of the first line. */
  readonly eol: '\r\n' | '\n';
  readonly origin: AddressSpan;
  readonly media: readonly MediaSection[];
  /** Names of the sections that share a port, by group (RFC 9143). */
  readonly bundles: readonly (readonly string[])[];
  /** The sender makes no connectivity checks (RFC 8445 2.5). */
  readonly iceLite: boolean;
}

/** The connection that holds for a section: its own, else the session's (RFC 8866 5.7). */
export function connectionOf(
  description: SessionDescription,
  section: MediaSection,
): AddressSpan | undefined {
  return section.connections[0] ?? description.connections[0];
}

/** The user fragment that holds for a section; undefined where its sender does no ICE. */
export function iceUfragOf(description: SessionDescription, section: MediaSection): string | undefined {
  return section.iceUfrag ?? description.iceUfrag;
}

/** True where somebody does ICE: then 0.0.0.0 says that the address comes later (RFC 8840), and is no hold. */
export function usesIce(description: SessionDescription): boolean {
  return (
    description.iceUfrag !== undefined || description.media.some(({ iceUfrag }) => iceUfrag !== undefined)
  );
}

/** The direction of a section; `sendrecv` where nothing says otherwise (RFC 8866 6.7). */
export function directionOf(description: SessionDescription, section: MediaSection): Direction {
  return section.direction ?? description.direction ?? 'sendrecv';
}
