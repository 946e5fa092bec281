import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { FROM, RECORD_ROUTE, TO } from '../../src/sip/message/header-id.ts';
import type { Message } from '../../src/sip/message/message.ts';
import { namedDescription } from './named-description.ts';
import { requestText, responseText } from './sip-text.ts';

const folder = new URL('../fixtures/sdp/calls/', import.meta.url);
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

/** A file of the corpus: see SOURCES.md beside them. */
export interface CorpusCall {
  readonly file: string;
  readonly title: string;
  /** Where the two sides are, `host:port`. */
  readonly caller: string;
  readonly callee: string;
  readonly exchanges: readonly Exchange[];
}

interface Exchange {
  readonly title: string;
  readonly byCallee: boolean;
  readonly late: boolean;
  readonly offer: string;
  readonly offered: string;
  readonly answer: string;
  readonly answered: string;
}

export const corpusCalls: readonly CorpusCall[] = readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .sort()
  .map((file) => {
    const blocks = readFileSync(new URL(file, folder), 'latin1').split(/^-{8}\n/m);
    assert.ok(blocks.length > 1 && blocks.length % 5 === 0, `${file}: five blocks an exchange`);
    const exchanges: Exchange[] = [];
    for (let block = 0; block < blocks.length; block += 5) {
      const [head = '', offer = '', offered = '', answer = '', answered = ''] = blocks.slice(
        block,
        block + 5,
      );
      const [title = ''] = head.split('\n', 1);
      const [byCallee, late] = [/^from: callee$/m.test(head), /^offer: late$/m.test(head)];
      exchanges.push({ title, byCallee, late, offer, offered, answer, answered });
    }
    const place = (who: string): string | undefined =>
      new RegExp(`^${who}: (.*)$`, 'm').exec(blocks[0]!)?.[1];
    return {
      file,
      title: exchanges[0]!.title,
      caller: place('caller') ?? '198.51.100.10:5060',
      callee: place('callee') ?? '198.51.100.20:5060',
      exchanges,
    };
  });

/** What carries messages between two phones and an agent. */
export interface CorpusWire {
  /** Where the phones are, `host:port`. */
  readonly caller: string;
  readonly callee: string;
  /** Whom the caller calls. */
  readonly uri: string;
  /** On loopback: the agent's address, beside ::1, where the corpus has 203.0.113.5 and 2001:db8::5. */
  readonly address?: string;
  send(text: string, byCallee: boolean): void;
  /** The next request, or final response, that a phone gets. */
  next(atCallee: boolean, kind: 'request' | 'response'): Promise<Message>;
}

/** Has a pair of phones make one call of the corpus, and judges all that they read. */
export async function makeCorpusCall({ file, exchanges }: CorpusCall, wire: CorpusWire): Promise<void> {
  const dialog = new Dialog(wire, file);
  const [toCaller, toCallee]: [string[], string[]] = [[], []];
  for (const exchange of exchanges) {
    const [offered, answered] = await dialog.exchange(exchange);
    const [toOfferer, toAnswerer] =
      exchange.byCallee === exchange.late ? [toCaller, toCallee] : [toCallee, toCaller];
    const { title } = exchange;
    const known = (text: string): string =>
      wire.address === undefined
        ? text
        : text.replaceAll(wire.address, '203.0.113.5').replaceAll('IP6 ::1', 'IP6 2001:db8::5');
    const asked = namedDescription(known(offered), toAnswerer);
    assert.equal(asked, exchange.offered, `${file}: what the other side reads of the offer: ${title}`);
    const told = namedDescription(known(answered), toOfferer);
    assert.equal(told, exchange.answered, `${file}: what the first reads of the answer: ${title}`);
  }
  await dialog.end();
}

class Dialog {
  readonly #wire: CorpusWire;
  readonly #callId: string;
  #invite: Message | undefined;
  #ok: Message | undefined;
  #cseq = 1;

  constructor(wire: CorpusWire, callId: string) {
    this.#wire = wire;
    this.#callId = callId;
  }

  /** What is read of the offer and of the answer. */
  async exchange({ byCallee, late, offer, answer }: Exchange): Promise<[offered: string, answered: string]> {
    const request = await this.#request('INVITE', byCallee, late ? '' : crlf(offer));
    const ok = await this.#respond(request, byCallee, crlf(late ? offer : answer));
    this.#invite ??= request;
    this.#ok ??= ok;
    const ack = await this.#request('ACK', byCallee, late ? crlf(answer) : '');
    this.#cseq++;
    return late ? [ok.body, ack.body] : [request.body, ok.body];
  }

  async end(): Promise<void> {
    await this.#respond(await this.#request('BYE', false, ''), false, '');
  }

  /** A 200 as the side that asked gets it. */
  async #respond(request: Message, byCallee: boolean, body: string): Promise<Message> {
    const contact = this.#contact(!byCallee);
    this.#wire.send(responseText(request.text, { status: 200, contact, body }), !byCallee);
    const ok = await this.#wire.next(byCallee, 'response');
    assert.equal(ok.status, 200, ok.text);
    return ok;
  }

  /** A request of one side, as the other one gets it. */
  async #request(method: string, byCallee: boolean, body: string): Promise<Message> {
    const options = {
      method,
      body,
      uri: this.#wire.uri,
      branch: `z9hG4bK${method}${this.#cseq}${this.#callId}`,
      callId: this.#callId,
      cseq: this.#cseq,
      via: byCallee ? this.#wire.callee : this.#wire.caller,
      contact: this.#contact(byCallee),
    };
    this.#wire.send(requestText({ ...options, ...this.#inDialog(byCallee) }), byCallee);
    const sent = await this.#wire.next(!byCallee, 'request');
    assert.equal(sent.method, method, sent.text);
    return sent;
  }

  #inDialog(byCallee: boolean): object {
    const [began, ok] = [this.#invite, this.#ok];
    if (!began || !ok) return {};
    const [from, to] = [began.value(FROM)!, ok.value(TO)!];
    const routes = (byCallee ? began : ok).values(RECORD_ROUTE).map((route) => `Route: ${route}`);
    return {
      uri: this.#contact(!byCallee).slice(1, -1),
      headers: byCallee ? routes : routes.reverse(),
      from: byCallee ? to : from,
      to: byCallee ? from : to,
    };
  }

  #contact(ofCallee: boolean): string {
    return ofCallee ? `<sip:bob@${this.#wire.callee}>` : `<sip:carol@${this.#wire.caller}>`;
  }
}
