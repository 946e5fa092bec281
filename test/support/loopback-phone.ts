import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { bracket, type Endpoint } from '../../src/net/address.ts';
import { WWW_AUTHENTICATE } from '../../src/sip/message/header-id.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { calculateResponse } from './digest-client.ts';
import { requestText } from './sip-text.ts';

/** One socket on loopback that talks to an agent and takes what it was sent in turn. */
export class LoopbackPhone implements AsyncDisposable {
  readonly #agent: Endpoint;
  readonly #socket: Socket;
  readonly #inbox: Message[] = [];
  #waiting: (() => void) | undefined;

  private constructor(agent: Endpoint) {
    this.#agent = agent;
    this.#socket = createSocket(agent.address.includes(':') ? 'udp6' : 'udp4');
  }

  static async open(agent: Endpoint): Promise<LoopbackPhone> {
    const phone = new LoopbackPhone(agent);
    phone.#socket.on('message', (bytes) => {
      const message = parseMessage(bytes.toString('latin1'));
      if (message) phone.#inbox.push(message);
      phone.#waiting?.();
    });
    const address = agent.address.includes(':') ? '::1' : '127.0.0.1';
    await new Promise<void>((resolve) => phone.#socket.bind(0, address, resolve));
    return phone;
  }

  get place(): string {
    const { address, port } = this.#socket.address();
    return `${bracket(address)}:${port}`;
  }

  send(text: string): void {
    this.#socket.send(Buffer.from(text, 'latin1'), this.#agent.port, this.#agent.address);
  }

  /** The next message that fits; what came before it is forgotten. */
  async next(fits: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      for (let message = this.#inbox.shift(); message; message = this.#inbox.shift()) {
        if (fits(message)) return message;
      }
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  request(method: string): Promise<Message> {
    return this.next((message) => message.isRequest && message.method === method);
  }

  final(): Promise<Message> {
    return this.next((message) => !message.isRequest && message.status >= 200);
  }

  async register({ name, password }: { name: string; password: string }): Promise<void> {
    const domain = `${bracket(this.#agent.address)}:${this.#agent.port}`;
    const uri = `sip:${domain}`;
    const text = (n: number, authorization?: string): string =>
      requestText({
        method: 'REGISTER',
        uri,
        via: this.place,
        branch: `z9hG4bKregister${name}${n}`,
        callId: `register-${name}@test`,
        cseq: n,
        from: `<sip:${name}@${domain}>;tag=${name}`,
        to: `<sip:${name}@${domain}>`,
        contact: `<sip:${name}@${this.place}>`,
        headers: authorization === undefined ? [] : [`Authorization: ${authorization}`],
      });
    this.send(text(1));
    const challenge = (await this.final()).value(WWW_AUTHENTICATE) ?? '';
    const nonce = /nonce="([^"]+)"/.exec(challenge)?.[1] ?? '';
    const proof = { user: name, password, realm: 'cloudsip', nonce, method: 'REGISTER', uri };
    this.send(text(2, calculateResponse(proof)));
    assert.equal((await this.final()).status, 200);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}
