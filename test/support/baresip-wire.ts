import type { LabHost } from '../lab/lab-host.ts';
import { Capture } from './capture.ts';
import { asRtp, muLawSamples, type RtpPacket } from './capture-rtp.ts';
import { ProgramError } from './process.ts';
import { strongestTone, toneShare } from './tone.ts';

/** Resolves when `windowMs` of PCMU that reaches the host's port from now on is one pure tone. */
export async function toneReaches(
  host: LabHost,
  port: number,
  frequencyHz: number,
  windowMs: number,
  timeoutMs: number,
): Promise<void> {
  const interfaceName = host.spec.interfaces[0]?.name ?? 'lo';
  await using capture = await Capture.start(
    host,
    interfaceName,
    `udp and dst host ${host.address} and dst port ${port}`,
  );
  const arrived: RtpPacket[] = [];
  let samples: Int16Array = new Int16Array(0);
  const isTone = () => {
    samples = muLawSamples(arrived.slice(-Math.ceil(windowMs / 10))).subarray(-windowMs * 8);
    return samples.length === windowMs * 8 && toneShare(samples, 8000, frequencyHz) > 0.9;
  };
  try {
    await capture.packet((packet) => {
      const rtp = asRtp(packet);
      if (rtp) arrived.push(rtp);
      return rtp !== undefined && isTone();
    }, timeoutMs);
  } catch (cause) {
    const tone = strongestTone(samples, 8000);
    const heard = tone ? `${tone.frequencyHz} Hz (share ${tone.share.toFixed(2)})` : 'silence';
    const where = `${host.address}:${port}`;
    throw new ProgramError(
      `${frequencyHz} Hz did not reach ${where}: ${heard}, ${arrived.length} RTP packets`,
      { cause },
    );
  }
}
