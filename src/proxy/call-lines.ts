import type { MediaRelay } from '../media/media-contract.ts';
import { summarize } from '../media/summarize.ts';
import { formatEndpoint } from '../net/address.ts';
import type { CallsInProgress } from './call-count.ts';

/** The first line of `calls`. */
export interface CallsHead {
  readonly calls: number;
  /** Who moves the media; null with `media: off`, where no call has streams. */
  readonly forwarder: string | null;
}

/** One stream of one side, in numbers like those of the line at a call's end. */
export interface CallStream {
  readonly party: string;
  readonly stream: number;
  /** Ours, on this machine. */
  readonly bound: string;
  /** What the side's SDP says; null where it names no address that can be sent to. */
  readonly described: string | null;
  /** Where its packets come from and go to; null while unknown. */
  readonly remote: string | null;
  readonly codec: string | null;
  readonly packets: number;
  readonly inKernel: number;
  readonly bytes: number;
  readonly strangers: number;
  /** Milliseconds since the last packet; null before the first. */
  readonly silentMs: number | null;
  readonly lost?: number;
  readonly reordered?: number;
  readonly jitterMs?: number;
  readonly ssrcChanges?: number;
  readonly reportedLossPercent?: number;
  readonly rttMs?: number;
  readonly mos?: number;
}

export interface CallLine {
  readonly callId: string;
  readonly streams: readonly CallStream[];
}

/** What `cloudsip calls` is told: the head, each call that has media, and `{ done: true }`. */
export function* callLines(
  relay: MediaRelay | undefined,
  { calls }: CallsInProgress,
  nowMs: number,
): Iterable<CallsHead | CallLine | { readonly done: true }> {
  yield { calls, forwarder: relay?.stats.forwarder ?? null };
  for (const { id, streams } of relay?.eachSession() ?? []) {
    yield {
      callId: id,
      streams: streams.map((stream): CallStream => {
        const { described, learnedEndpoint, codec, lastPacketAt } = stream;
        return {
          ...summarize(stream),
          inKernel: stream.kernelPackets,
          bound: formatEndpoint(stream.bound),
          described: described ? formatEndpoint(described) : null,
          remote: learnedEndpoint ? formatEndpoint(learnedEndpoint) : null,
          codec: codec ?? null,
          silentMs: lastPacketAt > 0 ? Math.max(0, Math.round(nowMs - lastPacketAt)) : null,
        };
      }),
    };
  }
  yield { done: true };
}
