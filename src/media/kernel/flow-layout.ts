/*
 * `struct key` and `struct flow` of relay.bpf.c. Numbers of the machine are little-endian, addresses and ports
 * stand as they do on the wire and in a `sockaddr`.
 */

export const keyBytes = 40;
/** Where the members of a key lie, in bytes. */
export const keyAt = { source: 0, destination: 16, sourcePort: 32, destinationPort: 34, family: 36 } as const;

export const flowBytes = 160;
/** Where the members of a flow lie, in bytes. */
export const flowAt = {
  packets: 0,
  bytes: 8,
  lastNs: 16,
  source: 24,
  destination: 40,
  sourcePort: 56,
  destinationPort: 58,
  owner: 60,
  ifindex: 64,
  nextHop: 68,
  addressDifference: 84,
  destinationMac: 88,
  sourceMac: 94,
  maxLength: 100,
  flags: 102,
  payloadType: 103,
  clockRate: 104,
  ssrc: 108,
  ssrcChanges: 112,
  firstSequence: 116,
  highestSequence: 120,
  sourcePackets: 124,
  lostBefore: 128,
  receivedBefore: 132,
  reordered: 136,
  duplicates: 140,
  transit: 144,
  jitter: 148,
  /** Of the packets, those that are no RTP. */
  aside: 152,
  hasTransit: 156,
  dscp: 157,
  /** Packets the other way were said to be too big for it. */
  tooBig: 158,
} as const;

/** Instead of a DSCP: what the packet came with. */
export const dscpKept = 64;

/** Bits of `flags`. */
export const flowFlag = {
  rtp: 1,
  /** RTCP comes to the socket: its reports are read there, or it leaves by another port. */
  rtcpRead: 2,
  tracked: 4,
  /** No flow: what comes to this port from another source is dropped. */
  guard: 8,
  /** The guard lets in what looks like STUN. */
  stun: 16,
} as const;

/** In an owner the slot, above it as much of its generation as there is room for. */
const slotBits = 15;

/** Whose flow it is: tells a slot's owner of now from one before. */
export function ownerOf(slot: number, generation: number): number {
  return (slot | ((generation & 0x1ffff) << slotBits)) >>> 0;
}

export function slotOf(owner: number): number {
  return owner & ((1 << slotBits) - 1);
}

export function put(view: DataView, at: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + at).set(bytes);
}

export function number64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/**
 * What the addresses of a flow differ by from those of its key, as a sum for the Internet checksum (RFC 1071):
 * of the new words and the complements of the old ones.
 */
export function addressDifference(key: DataView, flow: DataView): number {
  let sum = 0;
  for (let i = 0; i < 32; i += 2) {
    sum += flow.getUint16(flowAt.source + i, true) + (~key.getUint16(keyAt.source + i, true) & 0xffff);
  }
  return sum;
}
