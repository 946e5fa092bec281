/*
 * `struct key` and `struct flow` of relay.bpf.c. Numbers of the machine are little-endian, addresses and ports
 * stand as they do on the wire and in a `sockaddr`.
 */

export const keyBytes = 40;
/** Where the members of a key lie, in bytes. */
export const keyAt = { source: 0, destination: 16, sourcePort: 32, destinationPort: 34, family: 36 } as const;

export const flowBytes = 168;
/** Where the members of a flow lie, in bytes. */
export const flowAt = {
  packets: 0,
  bytes: 8,
  rtp: 16,
  lastNs: 24,
  source: 32,
  destination: 48,
  sourcePort: 64,
  destinationPort: 66,
  owner: 68,
  ifindex: 72,
  nextHop: 76,
  addressDifference: 92,
  destinationMac: 96,
  sourceMac: 102,
  maxLength: 108,
  flags: 110,
  payloadType: 111,
  clockRate: 112,
  ssrc: 116,
  ssrcChanges: 120,
  firstSequence: 124,
  highestSequence: 128,
  sourcePackets: 132,
  lostBefore: 136,
  receivedBefore: 140,
  reordered: 144,
  duplicates: 148,
  transit: 152,
  jitter: 156,
  dscp: 161,
} as const;

/** Instead of a DSCP: what the packet came with. */
export const dscpKept = 64;

/** Bits of `flags`. */
export const flowFlag = {
  rtp: 1,
  /** RTCP comes to the socket: its reports are read there, or it leaves by another port. */
  rtcpRead: 2,
  tracked: 4,
} as const;

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
