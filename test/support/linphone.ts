import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabHost } from '../lab/lab-host.ts';
import type { Program } from './process.ts';

/** Lines of its configuration by section, such as `{ net: ['firewall_policy=3'] }`. */
export type LinphoneSettings = Readonly<Record<string, readonly string[]>>;

export interface LinphoneOptions {
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  readonly settings?: LinphoneSettings;
  /** With a picture that stands still for a camera. */
  readonly video?: boolean;
}

/** linphonec of Debian's linphone-cli on a host of the laboratory, without sound card; it answers every call. */
export class LinphonePhone implements AsyncDisposable {
  readonly uri: string;
  readonly program: Program;

  private constructor(uri: string, program: Program) {
    this.uri = uri;
    this.program = program;
  }

  /** Resolves when it is registered. */
  static async start(host: LabHost, options: LinphoneOptions): Promise<LinphonePhone> {
    const { user, password, domain, settings = {}, video = false } = options;
    const home = mkdtempSync(join(host.directory, 'linphone-'));
    mkdirSync(join(home, '.local/share/linphone'), { recursive: true });
    const sections: Record<string, string[]> = {
      sip: ['sip_port=5060', 'sip_tcp_port=0', 'sip_tls_port=0', 'default_proxy=0', 'use_ipv6=0'],
      proxy_0: [
        `reg_proxy=<sip:${domain};transport=udp>`,
        `reg_identity=sip:${user}@${domain}`,
        'reg_expires=3600',
        'reg_sendregister=1',
      ],
      auth_info_0: [`username=${user}`, `passwd=${password}`],
    };
    for (const [name, lines] of Object.entries(settings)) (sections[name] ??= []).push(...lines);
    const text = Object.entries(sections).map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`);
    writeFileSync(join(home, 'linphonerc'), text.join(''));
    const { PATH = '/usr/bin:/bin' } = process.env;
    const words = ['-c', join(home, 'linphonerc'), '-a', '-d', '5', ...(video ? ['-V'] : [])];
    const program = host.spawn('linphonec', words, { env: { PATH, HOME: home } });
    const phone = new LinphonePhone(`sip:${user}@${domain}`, program);
    try {
      await phone.reached('LinphoneRegistrationOk');
      return phone;
    } catch (error) {
      await phone[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A command as at its prompt. */
  tell(command: string): void {
    this.program.write(`${command}\n`);
  }

  /** Resolves when its registration or call has come to this state; `from` is an index into its lines. */
  async reached(state: string, from = 0): Promise<void> {
    await this.program.line(new RegExp(`moving from state .* to \\[?${state}\\b`), { from });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tell('quit');
    this.program.end();
    await this.program.stop('SIGTERM', 3_000);
  }
}
