import type { BaresipPhone } from '../../support/baresip.ts';
import { LinphonePhone, type LinphoneSettings } from '../../support/linphone.ts';
import { publicAddress6 } from '../dual-stack-cloud.ts';
import { type DeskOptions, type Office, publicAddress } from '../office.ts';

/** A real program that is registered at the agent. Each promise resolves when the other side has answered. */
export interface Party {
  /** Calls a user of its own domain. */
  call(user: string): Promise<unknown>;
  answer(): Promise<unknown>;
  hold(): Promise<unknown>;
  resume(): Promise<unknown>;
  /** ICE anew (RFC 8839 4.4.1.1.1). */
  restart?(): Promise<unknown>;
  /** By itself it tells what its checks have found (RFC 8839 4.4.1.2.2). */
  updates?(): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type Open = (office: Office, host: string, user: string) => Promise<Party>;

export const baresip =
  (options: Partial<DeskOptions> = {}): Open =>
  async (office, host, user) => {
    const domain = host.endsWith('6-host') ? `[${publicAddress6}]` : publicAddress;
    const phone: BaresipPhone = await office.phone(host, { user, toneHz: 440, domain, ...options });
    return {
      call: async (other) => {
        await phone.dial(`sip:${other}@${domain}`);
        await phone.established();
      },
      answer: async () => {
        await phone.ringing();
        await phone.answer();
        await phone.established();
      },
      hold: () => phone.hold(),
      resume: () => phone.resume(),
      updates: async () => {
        // The answer to its first offer, and to its second.
        await phone.event('CALL_REMOTE_SDP');
        await phone.event('CALL_REMOTE_SDP');
      },
      [Symbol.asyncDispose]: () => phone.stop(),
    };
  };

export const linphone =
  (settings: LinphoneSettings = {}, video = false): Open =>
  async (office, host, user) => {
    const { password } = await office.account(user);
    const account = { user, password, domain: publicAddress };
    const phone = await LinphonePhone.start(office.lab.host(host), { ...account, settings, video });
    const change = async (command: string, state: string): Promise<void> => {
      const from = phone.program.lines.length;
      phone.tell(command);
      await phone.reached(state, from);
    };
    return {
      call: (other) => change(`call sip:${other}@${publicAddress}`, 'LinphoneCallStreamsRunning'),
      answer: () => phone.reached('LinphoneCallStreamsRunning'),
      hold: () => change('pause', 'LinphoneCallPaused'),
      resume: () => change('resume', 'LinphoneCallStreamsRunning'),
      updates: async () => {
        await phone.reached('LinphoneCallUpdating');
        const from = phone.program.lines.findIndex((line) => line.includes('to LinphoneCallUpdating'));
        await phone.reached('LinphoneCallStreamsRunning', from);
      },
      [Symbol.asyncDispose]: () => phone[Symbol.asyncDispose](),
    };
  };
