import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import type { Agent } from '../../src/agent.ts';
import { CONTACT, RECORD_ROUTE, WWW_AUTHENTICATE } from '../../src/sip/message/header-id.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { calculateResponse } from './digest-client.ts';
import { requestText, responseText } from './sip-text.ts';

/** One socket on loopback that takes what it was sent in turn. */
class Phone implements AsyncDisposable {
  readonly #socket: Socket = createSocket('udp4');
  readonly #inbox: Message[] = [];
  #waiting: (() => void) | undefined;

  static async open(): Promise<Phone> {
    const phone = new Phone();
    phone.#socket.on('message', (bytes) => {
      const message = parseMessage(bytes.toString('latin1'));
      if (message) phone.#inbox.push(message);
      phone.#waiting?.();
    });
    await new Promise<void>((resolve) => phone.#socket.bind(0, '127.0.0.1', resolve));
    return phone;
  }

  get place(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  send(text: string, port: number): void {
    this.#socket.send(Buffer.from(text, 'latin1'), port, '127.0.0.1');
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

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}

/** A stranger on this machine who calls bob through an agent; both speak from loopback. */
export class LoopbackCall implements AsyncDisposable {
  readonly #caller: Phone;
  readonly #callee: Phone;
  readonly #port: number;
  #routes: readonly string[] = [];
  #bob = '';
  #cseq = 1;

  private constructor(caller: Phone, callee: Phone, port: number) {
    this.#caller = caller;
    this.#callee = callee;
    this.#port = port;
  }

  /** Registers bob, and sets up the call. */
  static async open(agent: Agent, port: number): Promise<LoopbackCall> {
    const call = new LoopbackCall(await Phone.open(), await Phone.open(), port);
    await call.#register(agent.newAccounts.find(({ name }) => name === 'bob')!.password);
    const caller = call.#caller;
    caller.send(call.#fromCaller('INVITE', `sip:bob@127.0.0.1:${port}`), port);
    await call.#answer('INVITE');
    const answered = await caller.final();
    assert.equal(answered.status, 200);
    call.#routes = answered
      .values(RECORD_ROUTE)
      .flatMap((line) => line.split(/,\s*/))
      .reverse();
    call.#bob = answered.value(CONTACT)!.replace(/^<|>$/g, '');
    caller.send(call.#fromCaller('ACK', call.#bob), port);
    await call.#callee.request('ACK');
    return call;
  }

  /** A request inside the dialog, by the caller: its final status. */
  async inDialog(method: 'INVITE' | 'BYE'): Promise<number> {
    this.#cseq++;
    this.#caller.send(this.#fromCaller(method, this.#bob), this.#port);
    await this.#answer(method);
    const { status } = await this.#caller.final();
    if (method === 'INVITE') {
      this.#caller.send(this.#fromCaller('ACK', this.#bob), this.#port);
      await this.#callee.request('ACK');
    }
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller[Symbol.asyncDispose]();
    await this.#callee[Symbol.asyncDispose]();
  }

  #fromCaller(method: string, uri: string): string {
    const inside = this.#routes.length > 0 || method === 'ACK';
    return requestText({
      method,
      uri,
      via: this.#caller.place,
      branch: `z9hG4bK${method}${this.#cseq}`,
      callId: 'loopback@test',
      cseq: this.#cseq,
      to: `<sip:bob@127.0.0.1>${inside ? ';tag=callee' : ''}`,
      contact: `<sip:carol@${this.#caller.place}>`,
      headers: this.#routes.map((route) => `Route: ${route}`),
    });
  }

  async #answer(method: string): Promise<void> {
    const request = await this.#callee.request(method);
    const contact = `<sip:bob@${this.#callee.place}>`;
    this.#callee.send(responseText(request.text, { status: 200, contact }), this.#port);
  }

  async #register(password: string): Promise<void> {
    const uri = `sip:127.0.0.1:${this.#port}`;
    const text = (n: number, authorization?: string): string =>
      requestText({
        method: 'REGISTER',
        uri,
        via: this.#callee.place,
        branch: `z9hG4bKregister${n}`,
        callId: 'register@test',
        cseq: n,
        from: `<sip:bob@127.0.0.1:${this.#port}>;tag=bob`,
        to: `<sip:bob@127.0.0.1:${this.#port}>`,
        contact: `<sip:bob@${this.#callee.place}>`,
        headers: authorization === undefined ? [] : [`Authorization: ${authorization}`],
      });
    this.#callee.send(text(1), this.#port);
    const challenge = (await this.#callee.final()).value(WWW_AUTHENTICATE) ?? '';
    const nonce = /nonce="([^"]+)"/.exec(challenge)?.[1] ?? '';
    const proof = { user: 'bob', password, realm: 'cloudsip', nonce, method: 'REGISTER', uri };
    this.#callee.send(text(2, calculateResponse(proof)), this.#port);
    assert.equal((await this.#callee.final()).status, 200);
  }
}
