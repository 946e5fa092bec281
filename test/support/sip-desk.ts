import { randomBytes } from 'node:crypto';
import type { LabHost } from '../lab/lab-host.ts';
import type { LabSocket } from '../lab/lab-socket.ts';
import { calculateResponse } from './digest-client.ts';
import { ProgramError } from './process.ts';
import { requestText, responseText } from './sip-text.ts';

export interface DeskAccount {
  readonly name: string;
  readonly password: string;
}

interface Dialog {
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly target: string;
  readonly routes: readonly string[];
}

/** A call of the desk: what the other side said of its media, and the means to end it. */
export interface DeskCall {
  readonly sdp: string;
  /** Sends BYE; resolves when it is answered. */
  bye(): Promise<void>;
  /** Offers anew inside the call; gives the description of the answer. */
  reinvite(sdp: string): Promise<string>;
}

/** A small SIP user agent over UDP that carries the session descriptions of something that speaks no SIP. */
export class SipDesk implements AsyncDisposable {
  readonly uri: string;
  readonly #host: LabHost;
  readonly #account: DeskAccount;
  readonly #domain: string;
  readonly #socket: LabSocket;
  #cseq = 0;

  private constructor(host: LabHost, account: DeskAccount, domain: string, socket: LabSocket) {
    this.#host = host;
    this.#account = account;
    this.#domain = domain;
    this.#socket = socket;
    this.uri = `sip:${account.name}@${domain}`;
  }

  static async open(host: LabHost, account: DeskAccount, domain: string): Promise<SipDesk> {
    return new SipDesk(host, account, domain, await host.openUdp());
  }

  async register(): Promise<void> {
    const uri = `sip:${this.#domain}`;
    const identity = `<${this.uri}>`;
    await this.#authorized(
      'REGISTER',
      uri,
      { from: `${identity};tag=${tag()}`, to: identity, callId: tag() },
      '',
    );
  }

  /** Calls; resolves when it is answered. */
  async invite(uri: string, sdp: string): Promise<DeskCall> {
    const from = `<${this.uri}>;tag=${tag()}`;
    const callId = tag();
    const answer = await this.#authorized('INVITE', uri, { from, to: `<${uri}>`, callId }, sdp);
    const routes = headers(answer, 'Record-Route').reverse();
    const dialog = { from, to: header(answer, 'To'), callId, target: targetOf(answer), routes };
    await this.#send(this.#request('ACK', dialog, this.#cseq));
    return this.#call(dialog, bodyOf(answer));
  }

  /** Waits for a call and answers it with what `describe` makes of its offer. */
  async answer(describe: (offer: string) => Promise<string>): Promise<DeskCall> {
    const invite = await this.#receive((text) => text.startsWith('INVITE '));
    await this.#send(responseText(invite, { status: 100, reason: 'Trying' }));
    const toTag = tag();
    const body = await describe(bodyOf(invite));
    const response = responseText(invite, {
      status: 200,
      reason: 'OK',
      toTag,
      contact: this.#contact(),
      body,
    });
    await this.#send(response);
    await this.#receive((text) => text.startsWith('ACK '));
    const routes = headers(invite, 'Record-Route');
    const from = header(response, 'To');
    const to = header(invite, 'From');
    return this.#call(
      { from, to, callId: header(invite, 'Call-ID'), target: targetOf(invite), routes },
      bodyOf(invite),
    );
  }

  /** Waits for the other side's BYE. */
  async ended(): Promise<void> {
    const bye = await this.#receive((text) => text.startsWith('BYE '));
    await this.#send(responseText(bye, { status: 200, reason: 'OK' }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket.close();
  }

  #call(dialog: Dialog, sdp: string): DeskCall {
    const bye = async (): Promise<void> => {
      await this.#send(this.#request('BYE', dialog, ++this.#cseq));
      const answer = await this.#final('BYE');
      if (!answer.startsWith('SIP/2.0 200 ')) throw new ProgramError(`BYE was refused:\n${answer}`);
    };
    const reinvite = async (offer: string): Promise<string> => {
      await this.#send(this.#request('INVITE', dialog, ++this.#cseq, [], offer));
      const answer = await this.#final('INVITE');
      if (!answer.startsWith('SIP/2.0 200 ')) throw new ProgramError(`a re-INVITE was refused:\n${answer}`);
      await this.#send(this.#request('ACK', dialog, this.#cseq));
      return bodyOf(answer);
    };
    return { sdp, bye, reinvite };
  }

  #contact(): string {
    return `<sip:${this.#account.name}@${this.#host.address}:${this.#socket.port}>`;
  }

  #request(method: string, dialog: Dialog, cseq: number, more: readonly string[] = [], body = ''): string {
    const { from, to, callId, target, routes } = dialog;
    return requestText({
      method,
      uri: target,
      via: `${this.#host.address}:${this.#socket.port}`,
      branch: `z9hG4bK${tag()}`,
      from,
      to,
      callId,
      cseq,
      contact: this.#contact(),
      headers: [...routes.map((route) => `Route: ${route}`), ...more],
      body,
    });
  }

  /** Sends a request, again with the answer to the challenge; gives the 2xx. */
  async #authorized(
    method: string,
    uri: string,
    names: Pick<Dialog, 'from' | 'to' | 'callId'>,
    body: string,
  ): Promise<string> {
    const dialog = { ...names, target: uri, routes: [] };
    const first = this.#request(method, dialog, ++this.#cseq, [], body);
    await this.#send(first);
    const challenge = await this.#final(method);
    const [, status] = /^SIP\/2\.0 (40[17]) /.exec(challenge) ?? [];
    if (status === undefined) throw new ProgramError(`${method} was not challenged:\n${challenge}`);
    if (method === 'INVITE') await this.#send(ackOf(first, challenge));
    const field = status === '401' ? 'WWW-Authenticate' : 'Proxy-Authenticate';
    const offered = headers(challenge, field).find((value) => /algorithm=MD5|^(?!.*algorithm)/i.test(value))!;
    const said = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(offered)?.[1] ?? '';
    const { name: user, password } = this.#account;
    const proof = calculateResponse({
      user,
      password,
      realm: said('realm'),
      nonce: said('nonce'),
      method,
      uri,
    });
    const authorization = `${status === '401' ? 'Authorization' : 'Proxy-Authorization'}: ${proof}`;
    await this.#send(this.#request(method, dialog, ++this.#cseq, [authorization], body));
    const answer = await this.#final(method);
    if (!answer.startsWith('SIP/2.0 200 ')) throw new ProgramError(`${method} was refused:\n${answer}`);
    return answer;
  }

  #send(text: string): Promise<void> {
    return this.#socket.send(text, 5060, this.#domain);
  }

  #final(method: string): Promise<string> {
    return this.#receive(
      (text) => /^SIP\/2\.0 [2-6]/.test(text) && header(text, 'CSeq') === `${this.#cseq} ${method}`,
    );
  }

  /** The next message that is wanted; others, repeats of former ones say, are passed over. */
  async #receive(wanted: (text: string) => boolean): Promise<string> {
    for (;;) {
      const text = (await this.#socket.receive(10_000)).bytes.toString('latin1');
      if (wanted(text)) return text;
    }
  }
}

const tag = (): string => randomBytes(6).toString('hex');

function headers(text: string, name: string): string[] {
  const head = text.slice(0, text.indexOf('\r\n\r\n'));
  return [...head.matchAll(new RegExp(`^${name}: *(.*?)\\r?$`, 'gim'))].map(([, value]) => value!);
}

function header(text: string, name: string): string {
  return headers(text, name)[0] ?? '';
}

function targetOf(text: string): string {
  return /<([^>]*)>/.exec(header(text, 'Contact'))?.[1] ?? '';
}

function bodyOf(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Of a refusal: the INVITE's own transaction (RFC 3261 17.1.1.3). */
function ackOf(invite: string, response: string): string {
  const [, uri] = /^INVITE (\S+)/.exec(invite)!;
  return [
    `ACK ${uri} SIP/2.0`,
    `Via: ${header(invite, 'Via')}`,
    'Max-Forwards: 70',
    `From: ${header(invite, 'From')}`,
    `To: ${header(response, 'To')}`,
    `Call-ID: ${header(invite, 'Call-ID')}`,
    `CSeq: ${header(invite, 'CSeq').split(' ')[0]} ACK`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}
