import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { FROM, RECORD_ROUTE, TO } from '../../src/sip/message/header-id.ts';
import type { Message } from '../../src/sip/message/message.ts';
import { portsOf, relayAddress, relayFor } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const folder = new URL('../fixtures/sdp/calls/', import.meta.url);
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

/** The exchanges of one call, as a pair of phones would have them. */
class Call {
  readonly #harness: ProxyHarness;
  readonly #callee: string;
  readonly #at: number;
  #invite: Message | undefined;
  #ok: Message | undefined;
  #cseq = 1;

  constructor(harness: ProxyHarness, callee: string, at: number) {
    this.#harness = harness;
    this.#callee = callee;
    this.#at = at;
  }

  /** What is read of the offer and of the answer; `head` says who offers, and whether in a 200. */
  exchange(head: string, offer: string, answer: string): [offered: string, answered: string] {
    const late = /^offer: late$/m.test(head);
    const byCallee = /^from: callee$/m.test(head);
    const request = this.#request('INVITE', byCallee, late ? '' : offer);
    const [status, contact] = [
      200,
      byCallee ? '<sip:carol@198.51.100.10:5060>' : `<sip:bob@${this.#callee}>`,
    ];
    const response = responseText(request.text, { status, contact, body: late ? offer : answer });
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
    const options = { method, body, branch: `z9hG4bK${method}${this.#cseq}`, cseq: this.#cseq };
    const began = this.#invite;
    if (method === 'ACK') this.#cseq++;
    if (!began || !this.#ok) this.#receive(requestText(options), false);
    else {
      const [from, to] = [began.value(FROM)!, this.#ok.value(TO)!];
      const seen = byCallee ? began : this.#ok;
      const routes = seen.values(RECORD_ROUTE).map((route) => `Route: ${route}`);
      const inDialog = {
        ...options,
        uri: byCallee ? 'sip:carol@198.51.100.10:5060' : `sip:bob@${this.#callee}`,
        headers: byCallee ? routes : routes.reverse(),
        from: byCallee ? to : from,
        to: byCallee ? from : to,
        ...(byCallee && { via: this.#callee, contact: `<sip:bob@${this.#callee}>` }),
      };
      this.#receive(requestText(inDialog), byCallee);
    }
    const sent = this.#sent();
    assert.equal(sent.method, method, sent.text);
    return sent;
  }

  #receive(text: string, fromCallee: boolean): void {
    if (fromCallee) this.#harness.receive(text, this.#callee, this.#at);
    else this.#harness.receive(text, '198.51.100.10:5060');
  }

  #sent(): Message {
    return this.#harness.take().at(-1)!.message;
  }
}

/** A description with names in the places of what the relay chose by itself. */
function named(written: string): string {
  let text = written.replaceAll('\r\n', '\n');
  const ports = portsOf(written);
  ports.forEach((port, index) => {
    if (port === 0 || ports.indexOf(port) < index) return;
    assert.equal(port % 2, 0, 'RTP on an even port');
    text = text
      .replace(new RegExp(`\\b${port}\\b`, 'g'), `PORT${index}`)
      .replace(new RegExp(`\\b${port + 1}\\b`, 'g'), `PORT${index}+1`);
  });
  return text
    .replace(/^a=ice-ufrag:.*$/m, 'a=ice-ufrag:UFRAG')
    .replace(/^a=ice-pwd:.*$/m, 'a=ice-pwd:PASSWORD');
}

describe('offers and answers through the agent', () => {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.txt')) continue;
    const blocks = readFileSync(new URL(file, folder), 'latin1').split(/^-{8}\n/m);
    const title = blocks[0]!.split('\n', 1)[0];
    const callee = /^callee: (.*)$/m.exec(blocks[0]!)?.[1] ?? '198.51.100.20:5060';

    test(`${file}: ${title}`, async (t) => {
      const { relay } = await relayFor(t);
      const harness = new ProxyHarness({
        listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`, 'udp:[::1]:5060 as [2001:db8::5]:5060'],
        localNetworks: ['127.0.0.0/8', '::1/128'],
        media: (identity) => new MediaAnchor(relay, identity),
      });
      const at = callee.startsWith('[') ? 1 : 0;
      harness.bind('bob', `sip:bob@${callee}`, callee, { at });
      const call = new Call(harness, callee, at);
      assert.ok(blocks.length > 1 && blocks.length % 5 === 0, 'five blocks an exchange');
      for (let block = 0; block < blocks.length; block += 5) {
        const [head = '', offer = '', offered = '', answer = '', answered = ''] = blocks.slice(
          block,
          block + 5,
        );
        const [said, asked] = call.exchange(head, crlf(offer), crlf(answer));
        assert.equal(named(said), offered, `what the other side reads of the offer: ${head}`);
        assert.equal(named(asked), answered, `what the other side reads of the answer: ${head}`);
      }
    });
  }
});
