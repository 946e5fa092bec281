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
  const rate = Math.max(0, values[at + quality.clockRate]!);
  flow.setUint8(flowAt.payloadType, values[at + quality.payloadType]!);
  flow.setUint32(flowAt.clockRate, rate, true);
  handOverNumbers(values, at, flow);
}

/** The same for a flow that has its payload type already. */
export function handOverNumbers(values: Float64Array, at: number, flow: DataView): void {
  for (const name of alike) flow.setUint32(flowAt[name], values[at + quality[name]]!, true);
  const rate = flow.getUint32(flowAt.clockRate, true);
  flow.setUint32(flowAt.jitter, Math.round(values[at + quality.jitterMs]! * ticksOfMs(rate)), true);
  // One that the socket saw came another way than the next one.
  flow.setUint8(flowAt.hasTransit, 0);
}

/** What the kernel counted, back into the slot; the flow begins at `from` of its memory. */
export function takeBackQuality(flow: DataView, from: number, values: Float64Array, at: number): void {
  for (const name of alike) values[at + quality[name]] = flow.getUint32(from + flowAt[name], true);
  const rate = flow.getUint32(from + flowAt.clockRate, true);
  // A packet of another type may have come by the socket since.
  values[at + quality.payloadType] = flow.getUint8(from + flowAt.payloadType);
  values[at + quality.clockRate] = rate;
  if (rate > 0) values[at + quality.jitterMs] = flow.getUint32(from + flowAt.jitter, true) / ticksOfMs(rate);
  // The two clocks have nothing in common.
  values[at + quality.transit] = Number.NaN;
}
