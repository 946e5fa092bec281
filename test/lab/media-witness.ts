import { Capture } from '../support/capture.ts';
import { asRtp } from '../support/capture-rtp.ts';
import type { LabHost } from './lab-host.ts';

/** What became of the RTP that one telephone really sent. */
export interface Passage {
  readonly sent: number;
  /** Numbers that the telephone left out by itself. */
  readonly skipped: number;
  /** What did not reach the other telephone, what reached it more than once: `ssrc/number`. */
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** Watches the cards of two telephones: what leaves one of them has to reach the other. */
export class MediaWitness implements AsyncDisposable {
  readonly #hosts: readonly [LabHost, LabHost];
  readonly #captures: readonly [Capture, Capture];

  private constructor(hosts: readonly [LabHost, LabHost], captures: readonly [Capture, Capture]) {
    this.#hosts = hosts;
    this.#captures = captures;
  }

  static async of(one: LabHost, other: LabHost): Promise<MediaWitness> {
    const start = (host: LabHost): Promise<Capture> =>
      Capture.start(host, host.spec.interfaces[0]!.name, 'udp and not port 5060');
    return new MediaWitness([one, other], [await start(one), await start(other)]);
  }

  /** What came of all that was sent so far, from the one to the other and back. */
  async passages(): Promise<readonly [Passage, Passage]> {
    const [one, other] = [this.#packets(0, true), this.#packets(1, true)];
    return [await this.#passage(one, 1), await this.#passage(other, 0)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#captures.map((capture) => capture[Symbol.asyncDispose]()));
  }

  /** Names of the RTP packets that one telephone sent, or that came to it. */
  #packets(which: 0 | 1, sent: boolean): string[] {
    return this.#captures[which].packets.flatMap((packet) => {
      const isSent = packet.source.address === this.#hosts[which].address;
      const rtp = isSent === sent ? asRtp(packet) : undefined;
      return rtp ? [`${rtp.ssrc}/${rtp.sequence}`] : [];
    });
  }

  async #passage(sent: readonly string[], to: 0 | 1): Promise<Passage> {
    const last = sent.at(-1);
    // Whoever has the last one has had all that went before it.
    if (last !== undefined) {
      await this.#captures[to].packet((packet) => {
        const rtp = packet.source.address === this.#hosts[to].address ? undefined : asRtp(packet);
        return rtp !== undefined && `${rtp.ssrc}/${rtp.sequence}` === last;
      });
    }
    const came = new Map<string, number>();
    for (const name of this.#packets(to, false)) came.set(name, (came.get(name) ?? 0) + 1);
    return {
      sent: sent.length,
      skipped: skippedIn(sent),
      lost: sent.filter((name) => !came.has(name)),
      doubled: sent.filter((name) => (came.get(name) ?? 0) > 1),
    };
  }
}

function skippedIn(sent: readonly string[]): number {
  let skipped = 0;
  let before: readonly [string, number] | undefined;
  for (const name of sent) {
    const [ssrc = '', sequence = ''] = name.split('/');
    if (before?.[0] === ssrc) skipped += (Number(sequence) - before[1] - 1) & 0xffff;
    before = [ssrc, Number(sequence)];
  }
  return skipped;
}
