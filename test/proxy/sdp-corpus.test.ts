import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { FROM, RECORD_ROUTE, TO } from '../../src/sip/message/header-id.ts';
import type { Message } from '../../src/sip/message/message.ts';
import { relayAddress, relayFor } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';
import { namedDescription } from './named-description.ts';

const folder = new URL('../fixtures/sdp/calls/', import.meta.url);
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

/** The exchanges of one call, as a pair of phones would have them. */
class Call {
  readonly #harness: ProxyHarness;
  readonly #caller: string;
  readonly #callee: string;
  #invite: Message | undefined;
  #ok: Message | undefined;
  #cseq = 1;

  constructor(harness: ProxyHarness, caller: string, callee: string) {
    this.#harness = harness;
    this.#caller = caller;
    this.#callee = callee;
    harness.bind('bob', `sip:bob@${callee}`, callee, { at: listenerOf(callee) });
  }

  /** What is read of the offer and of the answer; `head` says who offers, and whether in a 200. */
  exchange(head: string, offer: string, answer: string): [offered: string, answered: string] {
    const late = /^offer: late$/m.test(head);
    const byCallee = /^from: callee$/m.test(head);
    const request = this.#request('INVITE', byCallee, late ? '' : offer);
    const contact = this.#contact(!byCallee);
    const response = responseText(request.text, { status: 200, contact, body: late ? offer : answer });
    this.#receive(response, !byCallee);
    const ok = this.#sent();
    assert.equal(ok.status, 200, ok.text);
    this.#invite ??= request;
    this.#ok ??= ok;
    const ack = this.#request('ACK', byCallee, late ? answer : '');
    return late ? [ok.body, ack.body] : [request.body, ok.body];
  }

  /** A request of one side, as the other one gets it. */
  #request(method: string, byCallee: boolean, body: string): Message {
    const options = {
      method,
      body,
      branch: `z9hG4bK${method}${this.#cseq}`,
      cseq: this.#cseq,
      via: byCallee ? this.#callee : this.#caller,
      contact: this.#contact(byCallee),
    };
    const began = this.#invite;
    if (method === 'ACK') this.#cseq++;
    if (!began || !this.#ok) this.#receive(requestText(options), false);
    else {
      const [from, to] = [began.value(FROM)!, this.#ok.value(TO)!];
      const seen = byCallee ? began : this.#ok;
      const routes = seen.values(RECORD_ROUTE).map((route) => `Route: ${route}`);
      const inDialog = {
        ...options,
        uri: this.#contact(!byCallee).slice(1, -1),
        headers: byCallee ? routes : routes.reverse(),
        from: byCallee ? to : from,
        to: byCallee ? from : to,
      };
      this.#receive(requestText(inDialog), byCallee);
    }
    const sent = this.#sent();
    assert.equal(sent.method, method, sent.text);
    return sent;
  }

  #receive(text: string, fromCallee: boolean): void {
    const source = fromCallee ? this.#callee : this.#caller;
    this.#harness.receive(text, source, listenerOf(source));
  }

  #contact(ofCallee: boolean): string {
    return ofCallee ? `<sip:bob@${this.#callee}>` : `<sip:carol@${this.#caller}>`;
  }

  #sent(): Message {
    return this.#harness.take().at(-1)!.message;
  }
}

/** Each family has one. */
const listenerOf = (place: string): number => (place.startsWith('[') ? 1 : 0);

describe('offers and answers through the agent', () => {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.txt')) continue;
    const blocks = readFileSync(new URL(file, folder), 'latin1').split(/^-{8}\n/m);
    const title = blocks[0]!.split('\n', 1)[0];
    const caller = /^caller: (.*)$/m.exec(blocks[0]!)?.[1] ?? '198.51.100.10:5060';
    const callee = /^callee: (.*)$/m.exec(blocks[0]!)?.[1] ?? '198.51.100.20:5060';

    test(`${file}: ${title}`, async (t) => {
      const { relay } = await relayFor(t);
      const harness = new ProxyHarness({
        listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`, 'udp:[::1]:5060 as [2001:db8::5]:5060'],
        localNetworks: ['127.0.0.0/8', '::1/128'],
        media: (identity) => new MediaAnchor(relay, identity),
      });
      const call = new Call(harness, caller, callee);
      assert.ok(blocks.length > 1 && blocks.length % 5 === 0, 'five blocks an exchange');
      for (let block = 0; block < blocks.length; block += 5) {
        const [head = '', offer = '', offered = '', answer = '', answered = ''] = blocks.slice(
          block,
          block + 5,
        );
        const [said, asked] = call.exchange(head, crlf(offer), crlf(answer));
        assert.equal(namedDescription(said), offered, `what the other side reads of the offer: ${head}`);
        assert.equal(namedDescription(asked), answered, `what the other side reads of the answer: ${head}`);
      }
    });
  }
});
