import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bracket } from '../../src/net/address.ts';
import type { LabHost } from '../lab/lab-host.ts';
import { BaresipControl, type PhoneEvent } from './baresip-control.ts';
import { BaresipRecording } from './baresip-recording.ts';
import { toneReaches } from './baresip-wire.ts';
import { type Program, ProgramError } from './process.ts';
import type { Tone } from './tone.ts';

export interface PhoneOptions {
  readonly user: string;
  /** The tone that it plays into every call, 10 to 20 000 Hz; what a telephone passes lies in 300 to 3400. */
  readonly toneHz: number;
  /** Where it registers. Without it the phone registers nowhere and is called at its own address. */
  readonly domain?: string;
  readonly password?: string;
  /** `manual` (default) rings until `answer` or `reject`; `early` sends 183 with media; `auto` answers. */
  readonly answerMode?: 'manual' | 'early' | 'auto';
  /** Seconds after which it gives up a call that nobody answers; default 120. */
  readonly ringsForS?: number;
  readonly transport?: 'udp' | 'tcp' | 'tls';
  /** Seconds; default 60. */
  readonly registrationInterval?: number;
  /** An outbound proxy, such as `sip:203.0.113.5;lr`. */
  readonly outbound?: string;
  /** More account parameters, such as `;mediaenc=srtp`. */
  readonly accountParameters?: string;
  /** More lines for the configuration, such as `rtp_timeout 5`. */
  readonly configuration?: readonly string[];
  /** Modules beside g711, ausine, sndfile, menu and ctrl_tcp. */
  readonly modules?: readonly string[];
  /** Default 5060. */
  readonly port?: number;
}

export interface EventOptions {
  /** Default 10 000. */
  readonly timeoutMs?: number;
}

interface Waiter {
  readonly types: readonly string[];
  readonly resolve: (event: PhoneEvent) => void;
}

/** Where Debian and others put the modules. */
const modulePath = '/usr/lib/baresip/modules';
const defaultModules = ['g711', 'ausine', 'sndfile'];
let phones = 0;

/** A real telephone: baresip on a host of the laboratory, without sound card, driven by events. */
export class BaresipPhone implements AsyncDisposable {
  readonly host: LabHost;
  readonly options: PhoneOptions;
  /** Its address of record: at the domain, or at its own address where it registers nowhere. */
  readonly uri: string;
  readonly program: Program;
  /** Everything that it has told, in order. */
  readonly events: PhoneEvent[] = [];
  readonly recording: BaresipRecording;
  readonly #control: BaresipControl;
  readonly #taken = new Set<PhoneEvent>();
  readonly #waiters = new Set<Waiter>();

  private constructor(host: LabHost, options: PhoneOptions, directory: string, program: Program) {
    this.host = host;
    this.options = options;
    this.program = program;
    const bracketed = bracket(host.address);
    const own =
      options.port === undefined || options.port === 5060 ? bracketed : `${bracketed}:${options.port}`;
    this.uri = `sip:${options.user}@${options.domain ?? own}`;
    this.recording = new BaresipRecording(directory);
    this.#control = new BaresipControl(host, (event) => this.#take(event));
  }

  /** Starts it and its account. Resolves when it can be told things; registration may still be on its way. */
  static async start(host: LabHost, options: PhoneOptions): Promise<BaresipPhone> {
    const directory = join(host.directory, `phone-${++phones}-${options.user}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'config'), configuration(host, options, directory));
    writeFileSync(join(directory, 'accounts'), '');
    const program = host.spawn('baresip', ['-f', directory, '-v']);
    await program.line(/baresip is ready/);
    const phone = new BaresipPhone(host, options, directory, program);
    // The account comes by the control wire: so no event can pass before there is someone to hear it.
    await phone.command('uanew', phone.#account());
    return phone;
  }

  /**
   * The first event of one of the types that no earlier call was given, past or future. Two calls for
   * `CALL_CLOSED` wait for two events.
   */
  event(types: string | readonly string[], options: EventOptions = {}): Promise<PhoneEvent> {
    const wanted = typeof types === 'string' ? [types] : types;
    const past = this.events.find((event) => wanted.includes(event.type) && !this.#taken.has(event));
    if (past) {
      this.#taken.add(past);
      return Promise.resolve(past);
    }
    const timeoutMs = options.timeoutMs ?? 10_000;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        types: wanted,
        resolve: (event) => {
          clearTimeout(timer);
          resolve(event);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        const told = this.events.map(({ type, param }) => `${type} ${param ?? ''}`).join('; ');
        const tail = this.program.lines.slice(-30).join('\n');
        const message = `${this.uri}: no ${wanted.join(' or ')} in ${timeoutMs} ms. Told: ${told}\n${tail}`;
        reject(new ProgramError(message));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Resolves at the first successful registration; rejects when the registrar refuses. */
  async registered(options: EventOptions = {}): Promise<void> {
    const event = await this.event(['REGISTER_OK', 'REGISTER_FAIL'], options);
    if (event.type === 'REGISTER_FAIL') throw new ProgramError(`${this.uri} was refused: ${event.param}`);
  }

  /** Resolves when the call is on its way; `CALL_ESTABLISHED` or `CALL_CLOSED` tell how it went. */
  async dial(uri: string): Promise<void> {
    await this.command('dial', uri);
  }

  /** Waits until it rings; the event names the caller in `peeruri`. */
  ringing(options: EventOptions = {}): Promise<PhoneEvent> {
    return this.event('CALL_INCOMING', options);
  }

  /** Resolves when the call stands; the event names the other side in `peeruri`. */
  established(options: EventOptions = {}): Promise<PhoneEvent> {
    return this.event('CALL_ESTABLISHED', options);
  }

  /** Resolves when the call has ended; `param` says why, for a refused call with its status. */
  closed(options: EventOptions = {}): Promise<PhoneEvent> {
    return this.event('CALL_CLOSED', options);
  }

  async answer(): Promise<void> {
    await this.command('accept');
  }

  /** Refuses the ringing call with 486. */
  async reject(): Promise<void> {
    await this.command('hangup');
  }

  /** Ends the call, whichever state it is in. */
  async hangup(): Promise<void> {
    await this.command('hangup');
  }

  /** Resolves when the other side has answered the re-INVITE. */
  async hold(): Promise<void> {
    await this.#renegotiate('hold');
  }

  /** Resolves when the other side has answered the re-INVITE. */
  async resume(): Promise<void> {
    await this.#renegotiate('resume');
  }

  /** The strongest tone in the last 400 ms of recorded audio; see `hears` for what ends the recording. */
  receivedTone(windowMs = 400): Tone | undefined {
    return this.recording.tone(windowMs);
  }

  /** How much audio the current or last call has brought, up to its first hold. */
  receivedMs(): number {
    return this.recording.samples().length / 8;
  }

  /**
   * Resolves when 400 ms of audio from now on is this tone and nothing else. baresip 1.0 ends its recording
   * for good when a call was on hold; from then on the tone is looked for in the packets that reach the
   * phone, and the phone must say that it has decoded some of them.
   */
  async hears(frequencyHz: number, options: EventOptions = {}): Promise<void> {
    const timeoutMs = options.timeoutMs ?? 10_000;
    const before = await this.#audioState();
    if (before.recording) return this.#recordingHears(frequencyHz, timeoutMs);
    await toneReaches(this.host, before.port, frequencyHz, 400, timeoutMs);
    const after = await this.#audioState();
    if (after.decodedS > before.decodedS) return;
    throw new ProgramError(`${this.uri}: ${frequencyHz} Hz arrives but is not decoded: ${after.text}`);
  }

  /** Any command of baresip's menu, without the slash; resolves with what it prints. */
  command(name: string, params = ''): Promise<string> {
    return this.#control.command(name, params);
  }

  /** Ends it in order: it hangs up and unregisters, for at most 3 s. */
  async stop(): Promise<void> {
    await this.program.stop('SIGTERM', 3_000);
    await this.#control.close();
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.program.stop('SIGKILL');
    await this.#control.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #renegotiate(command: string): Promise<void> {
    for (const event of this.events) if (event.type === 'CALL_REMOTE_SDP') this.#taken.add(event);
    await this.command(command);
    await this.event('CALL_REMOTE_SDP');
  }

  /** What the phone has counted tells whether nothing came, or came and was not written. */
  async #recordingHears(frequencyHz: number, timeoutMs: number): Promise<void> {
    try {
      await this.recording.hears(frequencyHz, 400, timeoutMs);
    } catch (error) {
      const { text } = await this.#audioState();
      const said = this.program.lines.slice(-20).join('\n');
      throw new ProgramError(`${this.uri}: ${(error as Error).message}\n${text}\n${said}`, { cause: error });
    }
  }

  async #audioState(): Promise<{ recording: boolean; port: number; decodedS: number; text: string }> {
    const text = await this.command('audio_debug');
    return {
      recording: !text.includes('rx pipeline') || /rx pipeline:.*sndfile/.test(text),
      port: Number(/local: \S+:(\d+)/.exec(text)?.[1] ?? 0),
      decodedS: Number(/rx:[\s\S]*?time = ([\d.]+)/.exec(text)?.[1] ?? 0),
      text,
    };
  }

  #take(event: PhoneEvent): void {
    this.events.push(event);
    for (const waiter of this.#waiters) {
      if (!waiter.types.includes(event.type)) continue;
      this.#waiters.delete(waiter);
      this.#taken.add(event);
      waiter.resolve(event);
      return;
    }
  }

  #account(): string {
    const { user, domain, password, answerMode, transport, registrationInterval, outbound } = this.options;
    const uri = transport ? `${this.uri};transport=${transport}` : this.uri;
    const parameters = [`regint=${domain === undefined ? 0 : (registrationInterval ?? 60)}`];
    if (password !== undefined) parameters.push(`auth_user=${user}`, `auth_pass=${password}`);
    if (answerMode !== undefined) parameters.push(`answermode=${answerMode}`);
    if (outbound !== undefined) parameters.push(`outbound="${outbound}"`);
    return `<${uri}>;${parameters.join(';')}${this.options.accountParameters ?? ''}`;
  }
}

function configuration(host: LabHost, options: PhoneOptions, directory: string): string {
  const lines = [
    'poll_method epoll',
    `sip_listen ${bracket(host.address)}:${options.port ?? 5060}`,
    `call_local_timeout ${options.ringsForS ?? 120}`,
    'call_max_calls 4',
    // Left alone it takes any, also those of a sipp on its host.
    'rtp_ports 10000-19999',
    `audio_source ausine,${options.toneHz}`,
    // All that ausine offers; baresip converts to the codec's 8 kHz, mono.
    'ausrc_srate 48000',
    'ausrc_channels 2',
    `snd_path ${directory}`,
    `ctrl_tcp_listen ${BaresipControl.listenAddress}`,
    `module_path ${modulePath}`,
    ...[...defaultModules, ...(options.modules ?? [])].map((name) => `module ${name}.so`),
    'module_app menu.so',
    'module_app ctrl_tcp.so',
    ...(options.configuration ?? []),
  ];
  return `${lines.join('\n')}\n`;
}
