import type { LabHost } from '../lab/lab-host.ts';
import { type Program, ProgramError } from './process.ts';

/** An event as baresip's ctrl_tcp tells it. */
export interface PhoneEvent {
  /** `CALL_ESTABLISHED`, `REGISTER_OK` and so on. */
  readonly type: string;
  readonly class?: string;
  readonly accountaor?: string;
  readonly direction?: string;
  readonly peeruri?: string;
  readonly id?: string;
  readonly param?: string;
}

interface PhoneResponse {
  readonly response: true;
  readonly ok: boolean;
  readonly data: string;
  readonly token: string;
}

const port = 4444;

/**
 * The wire to baresip: JSON in netstrings over TCP on the loopback of the phone's own network, carried
 * through a shell that has its standard input and output here.
 */
export class BaresipControl {
  static readonly listenAddress: string = `127.0.0.1:${port}`;
  readonly #bridge: Program;
  readonly #onEvent: (event: PhoneEvent) => void;
  readonly #answers = new Map<string, (response: PhoneResponse) => void>();
  #rest: Buffer = Buffer.alloc(0);
  #tokens = 0;

  constructor(host: LabHost, onEvent: (event: PhoneEvent) => void) {
    this.#onEvent = onEvent;
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port} || exit 1; cat <&3 & exec cat >&3`;
    // A bash whose standard input is a socket takes itself for a remote shell, and would read the user's start-up file.
    this.#bridge = host.spawn('bash', ['--norc', '-c', script], { onStdout: (chunk) => this.#take(chunk) });
  }

  /** Resolves with what the command printed; rejects when baresip refuses it or the phone is gone. */
  async command(command: string, params: string): Promise<string> {
    const token = String(++this.#tokens);
    const text = JSON.stringify({ command, params, token });
    const answer = new Promise<PhoneResponse>((resolve) => this.#answers.set(token, resolve));
    this.#bridge.write(`${Buffer.byteLength(text)}:${text},`);
    const gone = this.#bridge.exited.then(() => {
      throw new ProgramError(`baresip went away before it answered ${command}`);
    });
    const { ok, data } = await Promise.race([answer, gone]);
    if (!ok) throw new ProgramError(`baresip refused "${command} ${params}": ${data}`);
    return data;
  }

  async close(): Promise<void> {
    await this.#bridge.stop();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const colon = this.#rest.indexOf(':');
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#rest.toString('latin1', 0, colon));
      if (this.#rest.length <= end) return;
      const message = JSON.parse(this.#rest.toString('utf8', colon + 1, end)) as PhoneResponse | PhoneEvent;
      this.#rest = this.#rest.subarray(end + 1);
      if ('type' in message) this.#onEvent(message);
      else this.#answers.get(message.token)?.(message);
    }
  }
}
