import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent.ts';
import { CONTACT, RECORD_ROUTE } from '../../src/sip/message/header-id.ts';
import { LoopbackPhone } from './loopback-phone.ts';
import { requestText, responseText } from './sip-text.ts';

/** A stranger on this machine who calls bob through an agent; both speak from loopback. */
export class LoopbackCall implements AsyncDisposable {
  readonly #caller: LoopbackPhone;
  readonly #callee: LoopbackPhone;
  #routes: readonly string[] = [];
  #bob = '';
  #cseq = 1;

  private constructor(caller: LoopbackPhone, callee: LoopbackPhone) {
    this.#caller = caller;
    this.#callee = callee;
  }

  /** Registers bob, and sets up the call. */
  static async open(agent: Agent, port: number): Promise<LoopbackCall> {
    const at = { address: '127.0.0.1', port };
    const call = new LoopbackCall(await LoopbackPhone.open(at), await LoopbackPhone.open(at));
    await call.#callee.register(agent.newAccounts.find(({ name }) => name === 'bob')!);
    const caller = call.#caller;
    caller.send(call.#fromCaller('INVITE', `sip:bob@127.0.0.1:${port}`));
    await call.#answer('INVITE');
    const answered = await caller.final();
    assert.equal(answered.status, 200);
    call.#routes = answered
      .values(RECORD_ROUTE)
      .flatMap((line) => line.split(/,\s*/))
      .reverse();
    call.#bob = answered.value(CONTACT)!.replace(/^<|>$/g, '');
    caller.send(call.#fromCaller('ACK', call.#bob));
    await call.#callee.request('ACK');
    return call;
  }

  /** A request inside the dialog, by the caller: its final status. */
  async inDialog(method: 'INVITE' | 'BYE'): Promise<number> {
    this.#cseq++;
    this.#caller.send(this.#fromCaller(method, this.#bob));
    await this.#answer(method);
    const { status } = await this.#caller.final();
    if (method === 'INVITE') {
      this.#caller.send(this.#fromCaller('ACK', this.#bob));
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
    this.#callee.send(responseText(request.text, { status: 200, contact }));
  }
}
