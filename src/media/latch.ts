/** What a socket of the relay remembers about its peer: bits of one number, so that a table of them is an array. */
export const latchBit = {
  /** A packet came since the remote was set. */
  latched: 1,
  /** The learning window is open. */
  learning: 2,
  /** The remote is known, by SDP or by learning. */
  aimed: 4,
  /** The peer holds with c=0.0.0.0 and wants nothing (RFC 3264 8.4). */
  muted: 8,
  /** RTP or RTCP is expected, so a source is learned only from something that looks like it. */
  rtp: 16,
  /** Somebody wants to see each packet: the kernel must not forward them. */
  tapped: 32,
  /** In user space each packet has to be looked at: for STUN (ICE), or RTCP that leaves by another port. */
  sorted: 64,
  /** The peer does ICE: only a check that proves itself makes a source the remote. */
  checked: 128,
  /** An offer inside the call is open: the peer may send from another port of its address before its answer is read. */
  moving: 256,
} as const;

/** The bits once a new address came by SDP: all is to be learned again. */
export function reaimed(flags: number, aimed: boolean, rtp: boolean): number {
  const { muted, tapped, sorted, checked, moving } = latchBit;
  const kept = flags & (muted | tapped | sorted | checked | moving);
  return kept | latchBit.learning | (aimed ? latchBit.aimed : 0) | (rtp ? latchBit.rtp : 0);
}

/**
 * True where a packet from a source that is not the remote may make it the remote (symmetric RTP behind a NAT,
 * RFC 4961, RFC 7362 4): the window is open, or nothing ever came. Whether it does, `takesOver` says. Stray datagrams that are neither RTP, RTCP
 * (version 2: RFC 3550 5.1) nor DTLS (RFC 7983 7) teach nothing: a scanner must not steal a call.
 */
export function mayLearn(flags: number, firstByte: number): boolean {
  if ((flags & latchBit.checked) !== 0) return false;
  if ((flags & latchBit.learning) === 0 && (flags & latchBit.latched) !== 0) return false;
  return looksExpected(flags, firstByte);
}

/**
 * True where a packet from another port of the remote's address goes on to the other side, and teaches nothing: while an
 * offer inside the call is open, a phone sends from a new port as soon as it answers, and the answer takes a way of
 * its own. What it gets goes to its old port until the answer says otherwise.
 */
export function mayComeAside(flags: number, firstByte: number): boolean {
  const needed = latchBit.moving | latchBit.latched;
  return (flags & (needed | latchBit.checked)) === needed && looksExpected(flags, firstByte);
}

function looksExpected(flags: number, firstByte: number): boolean {
  if ((flags & latchBit.rtp) === 0) return true;
  return (firstByte & 0xc0) === 0x80 || (firstByte >= 20 && firstByte <= 63);
}

/** True for RTCP beside RTP on one port: packet types 192 to 223 (RFC 5761 4). */
export function isRtcp(secondByte: number): boolean {
  return secondByte >= 192 && secondByte <= 223;
}
