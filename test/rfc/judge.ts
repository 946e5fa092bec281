import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { formatEndpoint } from '../../src/net/address.ts';
import { calculateResponse } from '../support/digest-client.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

/** Where the called user is registered in every setting. */
export const contactUri = 'sip:target@192.0.2.200:5070';
const contactEndpoint = '192.0.2.200:5070';

/** Who the agent has to be so that a vector reaches the rule that it is about. */
export interface Setting {
  readonly listeners?: readonly string[];
  readonly domains?: readonly string[];
  /** An account that is registered at `contactUri`. */
  readonly called?: string;
  /** The account whose credentials are spliced in behind the Request-Line; the rest of the vector stays. */
  readonly as?: string;
  /** Header lines that are spliced in behind the Request-Line, without CRLF. */
  readonly spliced?: readonly string[];
  /** Bytes added behind the end. */
  readonly appended?: string;
  readonly source?: string;
  /** Where the called user is registered instead, for IPv6. */
  readonly contact?: string;
  readonly contactSource?: string;
}

export interface Judged {
  readonly harness: ProxyHarness;
  /** The vector as it was received, without what was spliced in. */
  readonly received: string;
  readonly source: string;
  /** All that was sent, without 100 Trying. */
  readonly sent: readonly SentMessage[];
}

/** The text of a vector, one character a byte. */
export function readVector(directory: string, name: string): string {
  return readFileSync(join(import.meta.dirname, directory, `${name}.dat`), 'latin1');
}

/** The names of all vectors in a directory. */
export function vectorNames(directory: string): string[] {
  return readdirSync(join(import.meta.dirname, directory))
    .filter((file) => file.endsWith('.dat'))
    .map((file) => basename(file, '.dat'))
    .sort();
}

export function newHarness(setting: Setting): ProxyHarness {
  const { listeners, domains, called, as, contact = contactUri, contactSource = contactEndpoint } = setting;
  const users = [called, as].filter((user) => user !== undefined);
  const harness = new ProxyHarness({ users, ...(listeners && { listeners }), ...(domains && { domains }) });
  if (called !== undefined) harness.bind(called, contact, contactSource);
  return harness;
}

/** Hands a request to an agent of this setting and collects what it sends. */
export function judgeRequest(vector: string, setting: Setting): Judged {
  const { as, spliced = [], appended = '', source = '192.0.2.1:5060' } = setting;
  const harness = newHarness(setting);
  const firstLine = vector.indexOf('\r\n') + 2;
  const insert = (lines: readonly string[]): string =>
    vector.slice(0, firstLine) +
    lines.map((line) => `${line}\r\n`).join('') +
    vector.slice(firstLine) +
    appended;
  const lines = as === undefined ? spliced : [credentials(harness, vector, as, source), ...spliced];
  harness.receive(insert(lines), source);
  const sent = harness.take().filter(({ message }) => message.status !== 100);
  return { harness, received: vector + appended, source, sent };
}

/** A header line that answers a challenge for this request, got with a request of another transaction. */
function credentials(harness: ProxyHarness, vector: string, user: string, source: string): string {
  const [method = '', ...rest] = vector.slice(0, vector.indexOf('\r\n')).split(' ');
  const { advertised, bound } = harness.transports[0]!.listener;
  const { address } = advertised ?? bound;
  const host = address.includes(':') ? `[${address}]` : address;
  harness.receive(requestText({ method: 'REGISTER', uri: `sip:${host}`, branch: 'z9hG4bKprobe' }), source);
  const challenge = harness.take()[0]!.text;
  const nonce = /nonce="([^"]+)"/.exec(challenge)![1]!;
  const uri = rest.slice(0, -1).join(' ');
  const value = calculateResponse({ user, password: 'secret', realm: 'cloudsip', nonce, method, uri });
  return `${method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization'}: ${value}`;
}

/**
 * Asserts that a request was forwarded to the called user, or with its Request-URI unchanged, and that it is the
 * received one byte for byte once the edits that RFC 3261 16.6 demands are taken back. `consumed` are the Route
 * lines that were the agent's own; `routed` says that a Route beyond it was spliced in.
 */
export function assertForwarded(
  judged: Judged,
  requestUri: string,
  options: { readonly consumed?: string | undefined; readonly routed?: boolean } = {},
): void {
  const { consumed, routed = false } = options;
  const { received, source, sent } = judged;
  assert.equal(
    sent.length,
    1,
    `one message, not ${sent.map(({ text }) => text.split('\r\n')[0]).join(' | ')}`,
  );
  const forwarded = sent[0]!.text;
  const [method] = received.split(' ', 1);
  const host = source.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  let rest = forwarded;
  const cut = (pattern: RegExp, what: string): void => {
    assert.match(rest, pattern, what);
    rest = rest.replace(pattern, '');
  };
  assert.ok(rest.startsWith(`${method} ${requestUri} SIP/2.0\r\n`), forwarded.split('\r\n')[0]);
  rest = rest.slice(rest.indexOf('\r\n') + 2);
  cut(/^Via: SIP\/2\.0\/UDP \S+;rport;branch=z9hG4bK[\w.]+\r\n/, 'our Via on top');
  if (method === 'INVITE' && sent[0]!.message.toTag === undefined)
    cut(/^Record-Route: <sip:[^>]+;lr;[^>]+>\r\n/, 'our Record-Route');
  if (routed) cut(/^Route: .*\r\n/, 'the Route that was spliced in');
  // RFC 3261 16.6 step 3.
  const hops = /^max-forwards[ \t]*:[ \t]*(\d+)/im;
  const before = hops.exec(received)?.[1];
  if (before === undefined) cut(/^Max-Forwards: 70\r\n/, 'Max-Forwards put on');
  else {
    assert.equal(hops.exec(rest)?.[1], String(Number(before) - 1));
    rest = rest.replace(hops, (line, value: string) => line.slice(0, -value.length) + before);
  }
  // RFC 3261 18.2.1: what the top Via is given.
  rest = rest.replace(`;received=${host}`, '').replace(/;rport=\d+/, ';rport');
  let expected = withoutTrailing(received).slice(received.indexOf('\r\n') + 2);
  if (consumed !== undefined) {
    assert.ok(expected.includes(consumed), 'the vector has the Route lines that are named');
    expected = expected.replace(consumed, '');
  }
  assert.equal(rest, expected);
}

/** Octets of a datagram beyond Content-Length are no part of the message (RFC 3261 18.3). */
function withoutTrailing(datagram: string): string {
  const length = /^(?:content-length|l)[ \t]*:[ \t]*(\d+)/im.exec(datagram)?.[1];
  if (length === undefined) return datagram;
  return datagram.slice(0, datagram.indexOf('\r\n\r\n') + 4 + Number(length));
}

/** A client transaction of the agent's with a caller behind it, and a response that comes back to it. */
export interface JudgedResponse {
  readonly harness: ProxyHarness;
  /** Where the request came from. */
  readonly caller: string;
  /** All that went to the caller because of it. */
  readonly sent: readonly SentMessage[];
  /** True where the client transaction took the response: the request is not retransmitted any more. */
  readonly taken: boolean;
}

/**
 * Sends a request through, and hands the vector back as its response. With `via: 'on-top'` the agent's own Via line
 * stands above those of the vector, with `'branch'` its branch stands in the vector's own top Via.
 */
export function judgeResponse(vector: string, via: 'on-top' | 'branch'): JudgedResponse {
  const harness = newHarness({ called: 'bob' });
  const caller = '198.51.100.10:5060';
  const method = /^CSeq: \S+ (\w+)/m.exec(vector)![1]!;
  harness.receive(requestText({ method }), caller);
  const forwarded = harness.take().at(-1)!;
  const ours = /^Via: .*\r\n/m.exec(forwarded.text)![0];
  const response =
    via === 'on-top'
      ? vector.replace(/^.*\r\n/, (statusLine) => statusLine + ours)
      : vector.replace(/branch=[^;\r\n]+/, /branch=[^;\r\n]+/.exec(ours)![0]);
  harness.receive(response, formatEndpoint(forwarded.destination));
  const sent = harness.take();
  harness.clock.advance(500);
  const taken = !harness.take().some(({ text }) => text === forwarded.text);
  // The request can still be answered: a hostile response has harmed nothing.
  if (!taken) {
    harness.receive(responseText(forwarded.text, { status: 200 }), formatEndpoint(forwarded.destination));
    assert.equal(harness.take().at(-1)!.message.status, 200);
  }
  return { harness, caller, sent, taken };
}
