/** Positions in a slot of what the headers of its packets told, behind the counters. Written by `RtpStatistics`. */
export const quality = {
  ssrc: 16,
  ssrcChanges: 17,
  /** Of the present source: extended sequence numbers, packets without duplicates. */
  firstSequence: 18,
  highestSequence: 19,
  sourcePackets: 20,
  /** Of the sources before. */
  lostBefore: 21,
  receivedBefore: 22,
  reordered: 23,
  duplicates: 24,
  /** -1 before the first packet. */
  payloadType: 25,
  clockRate: 26,
  transit: 27,
  jitterMs: 28,
  /** What this side reported of what it gets: share of the last interval, packets in all. */
  reports: 29,
  reportedFraction: 30,
  reportedLost: 31,
  /** -1 while unknown. */
  rttMs: 32,
  /** The last sender report of this side, to know it again in the other side's answer (RFC 3550 6.4.1). */
  reportId: 33,
  reportAt: 34,
} as const;

/** How good one stream of one side is, as far as its packets were seen one by one. */
export interface StreamQuality {
  readonly ssrc: number;
  readonly ssrcChanges: number;
  readonly lost: number;
  /** Share of all that should have come, 0 to 1. */
  readonly lossRate: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly jitterMs: number;
  /** What the side's RTCP says of what it gets from us; undefined without a report. */
  readonly reported: { readonly lossRate: number; readonly lost: number } | undefined;
  /** From us to the side and back, by its RTCP; undefined where none told. */
  readonly rttMs: number | undefined;
  /** Mean opinion score, 1 to 4.5, estimated (ITU-T G.107) for what comes from this side. */
  readonly mos: number;
}

/**
 * `rtp` and `rtcp` are where the slots of a pair begin, `beside` says which of them RTCP should come to. Undefined before
 * the first packet that could be read.
 */
export function readQuality(
  values: Float64Array,
  rtp: number,
  rtcp: number,
  beside: boolean,
): StreamQuality | undefined {
  const at = (position: number): number => values[rtp + position]!;
  const received = at(quality.sourcePackets) + at(quality.receivedBefore);
  if (received === 0) return undefined;
  const lost = at(quality.lostBefore) + Math.max(0, lostNow(values, rtp));
  // Some send it to the other one.
  const [agreed, aside] = beside ? [rtp, rtcp] : [rtcp, rtp];
  const reports = values[agreed + quality.reports]! > 0 ? agreed : aside;
  const rtt = values[reports + quality.rttMs]!;
  const rttMs = values[reports + quality.reports]! > 0 && rtt >= 0 ? rtt : undefined;
  const lossRate = lost / (received + lost);
  const jitterMs = at(quality.jitterMs);
  return {
    ssrc: at(quality.ssrc),
    ssrcChanges: at(quality.ssrcChanges),
    lost,
    lossRate,
    reordered: at(quality.reordered),
    duplicates: at(quality.duplicates),
    jitterMs,
    reported:
      values[reports + quality.reports]! > 0
        ? {
            lossRate: values[reports + quality.reportedFraction]!,
            lost: values[reports + quality.reportedLost]!,
          }
        : undefined,
    rttMs,
    mos: meanOpinionScore(lossRate, jitterMs, (rttMs ?? 0) / 2),
  };
}

/** Packets that the present source has sent and that did not come; less than none where some came again. */
export function lostNow(values: Float64Array, at: number): number {
  const expected = values[at + quality.highestSequence]! - values[at + quality.firstSequence]! + 1;
  return expected - values[at + quality.sourcePackets]!;
}

/**
 * The E-model of ITU-T G.107 with its defaults, for a codec that conceals loss as G.711 does (appendix I of
 * G.113: Ie 0, Bpl 25.1). The listener's buffer is taken as twice the jitter, packets as 20 ms long.
 */
export function meanOpinionScore(lossRate: number, jitterMs: number, delayMs: number): number {
  const delay = delayMs + 2 * jitterMs + 20;
  const delayImpairment = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0);
  const percent = lossRate * 100;
  const rating = 93.2 - delayImpairment - (95 * percent) / (percent + 25.1);
  if (rating <= 0) return 1;
  return 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating);
}
