import { quality } from '../stream-quality.ts';
import { flowAt } from './flow-layout.ts';

/** Members of a flow that are the same numbers in a slot. */
const alike = [
  'ssrc',
  'ssrcChanges',
  'firstSequence',
  'highestSequence',
  'sourcePackets',
  'lostBefore',
  'receivedBefore',
  'reordered',
  'duplicates',
] as const;

/** RFC 3550 A.8: jitter is kept sixteen times, in ticks of the payload's clock. */
function ticksOfMs(clockRate: number): number {
  return (16 * clockRate) / 1000;
}

/** The kernel goes on where the socket's statistics are: `at` is where the slot begins. */
export function handOverQuality(values: Float64Array, at: number, flow: DataView): void {
  for (const name of alike) flow.setUint32(flowAt[name], values[at + quality[name]]!, true);
  const rate = Math.max(0, values[at + quality.clockRate]!);
  flow.setUint8(flowAt.payloadType, values[at + quality.payloadType]!);
  flow.setUint32(flowAt.clockRate, rate, true);
  flow.setUint32(flowAt.jitter, Math.round(values[at + quality.jitterMs]! * ticksOfMs(rate)), true);
}

/** What the kernel counted, back into the slot; the flow begins at `from` of its memory. */
export function takeBackQuality(flow: DataView, from: number, values: Float64Array, at: number): void {
  for (const name of alike) values[at + quality[name]] = flow.getUint32(from + flowAt[name], true);
  const rate = flow.getUint32(from + flowAt.clockRate, true);
  if (rate > 0) values[at + quality.jitterMs] = flow.getUint32(from + flowAt.jitter, true) / ticksOfMs(rate);
  // The two clocks have nothing in common.
  values[at + quality.transit] = Number.NaN;
}
