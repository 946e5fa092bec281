import type { LabHost } from '../lab/lab-host.ts';
import { encodeMuLaw, sineSamples } from './tone.ts';

const frameMs = 20;
const frameSamples = frameMs * 8;

/**
 * A capture file of a G.711 µ-law tone, for sipp's `play_pcap_audio`: one RTP packet every 20 ms. sipp puts
 * addresses and ports of its own into it.
 */
export function tonePcap(frequencyHz: number, durationMs: number): Buffer {
  const audio = Uint8Array.from(sineSamples(frequencyHz, 8000, durationMs), encodeMuLaw);
  const file = [pcapHeader()];
  for (let frame = 0; (frame + 1) * frameSamples <= audio.length; frame++) {
    const payload = audio.subarray(frame * frameSamples, (frame + 1) * frameSamples);
    file.push(pcapRecord(frame, payload));
  }
  return Buffer.concat(file);
}

function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20); // Ethernet
  return header;
}

function pcapRecord(frame: number, payload: Uint8Array): Buffer {
  const ethernet = Buffer.from('0200000000020200000000010800', 'hex');
  const ip = Buffer.from('4500000000000000401100007f0000017f000001', 'hex');
  ip.writeUInt16BE(20 + 8 + 12 + payload.length, 2);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(6000, 0);
  udp.writeUInt16BE(6000, 2);
  udp.writeUInt16BE(8 + 12 + payload.length, 4);
  const rtp = Buffer.alloc(12);
  rtp[0] = 0x80;
  rtp[1] = frame === 0 ? 0x80 : 0; // marker at the start of talking (RFC 3551 section 4.1)
  rtp.writeUInt16BE(frame, 2);
  rtp.writeUInt32BE(frame * frameSamples, 4);
  rtp.writeUInt32BE(0x70c05eed, 8);
  const packet = Buffer.concat([ethernet, ip, udp, rtp, payload]);
  const record = Buffer.alloc(16);
  record.writeUInt32LE(Math.floor((frame * frameMs) / 1000), 0);
  record.writeUInt32LE(((frame * frameMs) % 1000) * 1000, 4);
  record.writeUInt32LE(packet.length, 8);
  record.writeUInt32LE(packet.length, 12);
  return Buffer.concat([record, packet]);
}

interface NftElement {
  readonly elem: { readonly val: number; readonly counter: { readonly packets: number } };
}

/**
 * Counts, in the kernel, the RTP that reaches each port of a run. sipp itself has no socket on those ports: so
 * the host also keeps to itself that they are closed, until the run has ended.
 */
export class MediaCounter implements AsyncDisposable {
  readonly #host: LabHost;
  readonly #table: string;

  private constructor(host: LabHost, table: string) {
    this.#host = host;
    this.#table = table;
  }

  /** Counts for the 10 000 ports from `firstPort` on. */
  static async start(host: LabHost, table: string, firstPort: number): Promise<MediaCounter> {
    const input = `
table ip ${table} {
  set ports { type inet_service; size 65535; flags dynamic; counter; }
  chain arrive {
    type filter hook input priority filter; policy accept;
    udp dport ${firstPort}-${firstPort + 9_999} update @ports { udp dport } drop
  }
}
`;
    await host.run('nft', ['-f', '-'], { input });
    return new MediaCounter(host, table);
  }

  async packetsByPort(): Promise<ReadonlyMap<number, number>> {
    const { stdout } = await this.#host.run('nft', ['-j', 'list', 'set', 'ip', this.#table, 'ports']);
    const { nftables } = JSON.parse(stdout) as { nftables: { set?: { elem?: NftElement[] } }[] };
    const elements = nftables.flatMap(({ set }) => set?.elem ?? []);
    return new Map(elements.map(({ elem }) => [elem.val, elem.counter.packets]));
  }

  /** Whoever has those ports next hears what is sent to them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.run('nft', ['delete', 'table', 'ip', this.#table]);
  }
}
