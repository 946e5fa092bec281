import type { StreamSnapshot } from './media-contract.ts';

/** The numbers of one stream of one side, short enough for a line. */
export interface StreamSummary {
  readonly party: string;
  readonly stream: number;
  readonly packets: number;
  /** Of the packets, those that the kernel forwarded. */
  readonly inKernel?: number;
  readonly bytes: number;
  readonly strangers: number;
  readonly lost?: number;
  readonly reordered?: number;
  readonly jitterMs?: number;
  readonly ssrcChanges?: number;
  /** What the side reported of what it got, in percent. */
  readonly reportedLossPercent?: number;
  readonly rttMs?: number;
  readonly mos?: number;
}

/** What is not known is left out. */
export function summarize(snapshot: StreamSnapshot): StreamSummary {
  const { party, index, packets, kernelPackets, bytes, droppedStrangers, quality } = snapshot;
  return {
    party,
    stream: index,
    packets,
    ...(kernelPackets > 0 && { inKernel: kernelPackets }),
    bytes,
    strangers: droppedStrangers,
    ...(quality && {
      lost: quality.lost,
      reordered: quality.reordered,
      jitterMs: round(quality.jitterMs, 10),
      ssrcChanges: quality.ssrcChanges,
      mos: round(quality.mos, 100),
    }),
    ...(quality?.reported && { reportedLossPercent: round(quality.reported.lossRate * 100, 10) }),
    ...(quality?.rttMs !== undefined && { rttMs: round(quality.rttMs, 10) }),
  };
}

function round(value: number, parts: number): number {
  return Math.round(value * parts) / parts;
}
