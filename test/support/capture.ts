import { randomBytes } from 'node:crypto';
import { LabError } from '../lab/lab-error.ts';
import type { LabHost } from '../lab/lab-host.ts';
import { openLabSocket } from '../lab/lab-socket.ts';
import { CaptureDecoder, type Packet } from './capture-decoder.ts';
import type { Program } from './process.ts';

const discardPort = 9; // RFC 863
const sentinelMark = Buffer.from('cloudsip capture ends here ');

/**
 * Packets of one interface, captured by tcpdump and decoded here. The end is marked by a datagram of our
 * own on the same interface: when that one has come through, everything before it has too.
 */
export class Capture implements AsyncDisposable {
  readonly #host: LabHost;
  readonly #interface: string;
  readonly #program: Program;
  readonly #packets: Packet[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #sentinel = Buffer.concat([sentinelMark, randomBytes(8)]);
  #sentinelSeen = false;

  private constructor(host: LabHost, interfaceName: string, filter: string) {
    this.#host = host;
    this.#interface = interfaceName;
    const decoder = new CaptureDecoder();
    const expression = filter === '' ? '' : `(${filter}) or (udp dst port ${discardPort})`;
    this.#program = host.spawn(
      'tcpdump',
      [
        '-i',
        interfaceName,
        '-n',
        '-s',
        '0',
        '--immediate-mode',
        '-B',
        '16384',
        '-Z',
        'root',
        '-U',
        '-w',
        '-',
        expression,
      ],
      {
        onStdout: (chunk) => {
          for (const packet of decoder.push(chunk)) this.#take(packet);
          for (const watcher of [...this.#watchers]) watcher();
        },
      },
    );
  }

  /** Resolves when the kernel hands packets over. */
  static async start(host: LabHost, interfaceName: string, filter: string): Promise<Capture> {
    const capture = new Capture(host, interfaceName, filter);
    await capture.#program.line(/listening on/);
    return capture;
  }

  /** Packets so far. */
  get packets(): readonly Packet[] {
    return this.#packets;
  }

  /** The first packet, past or future, that satisfies the condition. */
  packet(wanted: (packet: Packet) => boolean, timeoutMs = 10_000): Promise<Packet> {
    let next = 0;
    return this.#until(`a packet that satisfies ${wanted}`, timeoutMs, () => {
      for (; next < this.#packets.length; next++) {
        const packet = this.#packets[next]!;
        if (wanted(packet)) return packet;
      }
      return undefined;
    });
  }

  /** Ends the capture and returns everything that passed before the call. */
  async stop(): Promise<Packet[]> {
    if (!this.#program.exit) {
      await this.#sendSentinel();
      await this.#until('its own end mark', 10_000, () => (this.#sentinelSeen ? true : undefined));
      await this.#program.stop('SIGINT');
      this.#failIfDropped();
    }
    return this.#packets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.stop('SIGINT');
  }

  #take(packet: Packet): void {
    const { payload, destination } = packet;
    if (
      destination.port !== discardPort ||
      payload.compare(sentinelMark, 0, sentinelMark.length, 0, sentinelMark.length) !== 0
    ) {
      if (!this.#sentinelSeen) this.#packets.push(packet);
    } else if (payload.equals(this.#sentinel)) {
      this.#sentinelSeen = true;
    } // else the mark of another capture
  }

  async #sendSentinel(): Promise<void> {
    const spec = this.#host.spec.interfaces.find(({ name }) => name === this.#interface);
    const [address = '127.0.0.1', prefix = '32'] = (spec?.addresses[0] ?? '')
      .split('/')
      .filter((word) => word !== '');
    const v6 = address.includes(':');
    // IPv6 has no broadcast: all nodes on the link.
    const everybody = v6 ? 'ff02::1' : broadcastAddress(address, Number(prefix));
    await using socket = await openLabSocket(this.#host.namespace, address, 0, { broadcast: !v6 });
    await socket.send(this.#sentinel, discardPort, spec ? everybody : address);
  }

  #until<T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
      };
      const watcher = () => {
        const found = look();
        if (found === undefined) return;
        done();
        resolve(found);
      };
      const where = `${this.#interface} of ${this.#host.name}`;
      const timer = setTimeout(() => {
        done();
        reject(
          new LabError(
            `${where}: ${what} did not pass in ${timeoutMs} ms; ${this.#packets.length} packets did`,
          ),
        );
      }, timeoutMs);
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #failIfDropped(): void {
    const dropped = this.#program.lines.find((line) => /^[1-9]\d* packets? dropped by kernel/.test(line));
    if (dropped !== undefined) throw new LabError(`the capture is incomplete: ${dropped}`);
  }
}

function broadcastAddress(address: string, prefix: number): string {
  const bits = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const last = bits - (bits % 2 ** (32 - prefix)) + 2 ** (32 - prefix) - 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(last / 2 ** shift) % 256).join('.');
}
