import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { MediaRelay } from '../../src/media/media-contract.ts';
import { defaultMediaPolicy, MediaAnchor, type MediaPolicy } from '../../src/proxy/media-anchor.ts';
import { portsOf, relayAddress, relayFor, sdp } from '../media/support.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { type RequestText, type ResponseText, requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';

interface Office {
  readonly relay: MediaRelay;
  /** What passed unrelayed. */
  readonly unrelayed: string[];
  invite(options: RequestText): SentMessage;
  respond(invite: SentMessage, options: ResponseText): SentMessage;
}

async function open(t: TestContext, policy: Partial<MediaPolicy> = {}): Promise<Office> {
  const { relay } = await relayFor(t);
  const unrelayed: string[] = [];
  const harness = new ProxyHarness({
    listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`],
    localNetworks: ['127.0.0.0/8'],
    media: (identity) =>
      new MediaAnchor(relay, identity, { ...defaultMediaPolicy, ...policy }, undefined, (callId, reason) =>
        unrelayed.push(`${callId}: ${reason}`),
      ),
  });
  harness.bind('bob', `sip:bob@${bob}`, bob);
  return {
    relay,
    unrelayed,
    invite: (options) => {
      harness.receive(requestText(options), carol);
      return harness.take().findLast(({ message }) => message.status !== 100)!;
    },
    respond: (invite, options) => {
      harness.receive(responseText(invite.text, { contact: `<sip:bob@${bob}>`, ...options }), bob);
      return harness.take().at(-1)!;
    },
  };
}

const part = (text: string, ...headers: string[]): string =>
  [...headers, 'Content-Type: application/sdp', '', text].join('\r\n');
const parts = (...list: string[]): string => `${list.map((one) => `--b\r\n${one}\r\n`).join('')}--b--`;
const mixed = 'multipart/mixed;boundary=b';
const alternative = 'multipart/alternative;boundary=b';
const early = 'Content-Disposition: early-session';
const sealed = 'Content-Type: application/pkcs7-mime;smime-type=enveloped-data\r\n\r\nMIAGCSqGSIb3DQEHA6CA';
/** The descriptions in the parts of a body. */
const described = ({ message }: SentMessage): string[] =>
  message.body
    .split(/^--b(?:--)?(?:\r\n)?/m)
    .map((one) => one.slice(one.indexOf('\r\n\r\n') + 4))
    .filter((one) => one.startsWith('v=0'));

describe('several descriptions in one body', () => {
  test('of which one may choose lead to the relay all alike', async (t) => {
    const { invite, respond, relay } = await open(t);
    const offers = parts(part(sdp('10.9.9.9', 4000)), part(sdp('10.9.9.8', 4002, 4004)));
    const offer = invite({ contentType: alternative, body: offers });
    assert.equal(offer.message.method, 'INVITE');
    const [first = '', second = ''] = described(offer);
    assert.equal(first, second, 'whichever is read');
    assert.equal(portsOf(second).length, 2, 'the last of them is preferred');
    assert.doesNotMatch(offer.text, /10\.9\.9\./);
    const answer = respond(offer, { status: 200, body: sdp('10.8.8.8', 5000, 5002) });
    assert.equal(answer.message.status, 200);
    assert.doesNotMatch(answer.text, /10\.8\./);
    assert.equal(relay.stats.portsInUse, 8);
  });

  test('of which nothing says what counts are refused, in an offer and in an answer', async (t) => {
    const { invite, respond } = await open(t);
    const two = { contentType: mixed, body: parts(part(sdp('10.9.9.9', 4000)), part(sdp('10.9.9.9', 4002))) };
    const refused = invite({ ...two, callId: 'other', branch: 'z9hG4bKother' });
    assert.equal(refused.message.status, 488);
    assert.match(refused.text, /^Warning: 399 cloudsip "The body has several session descriptions/m);
    const offer = invite({ body: sdp('10.9.9.9', 4000) });
    const answer = respond(offer, { status: 200, ...two });
    assert.equal(answer.message.status, 488);
    assert.doesNotMatch(answer.text, /10\.9\./);
  });

  test('an early session beside the session is switched off (RFC 3959)', async (t) => {
    const { invite, respond } = await open(t);
    const body = parts(part(sdp('10.9.9.7', 4010), early), part(sdp('10.9.9.9', 4000)));
    const offer = invite({ contentType: mixed, body });
    const [off = '', session = ''] = described(offer);
    assert.deepEqual(portsOf(off), [0]);
    assert.notDeepEqual(portsOf(session), [0]);
    assert.doesNotMatch(offer.text, /10\.9\./);
    const ringing = respond(offer, {
      status: 183,
      contentType: mixed,
      body: parts(part(sdp('10.8.8.7', 5010), early)),
    });
    assert.equal(ringing.message.status, 183);
    assert.deepEqual(portsOf(described(ringing)[0]!), [0]);
    assert.doesNotMatch(ringing.text, /10\.8\./);
    const answer = respond(offer, { status: 200, body: sdp('10.8.8.8', 5000) });
    assert.notDeepEqual(portsOf(answer.message.body), [0], 'and was no answer');
  });

  test('an early session alone, in an INVITE and before there is any media', async (t) => {
    const { invite, respond, relay } = await open(t);
    const offer = invite({ contentType: mixed, body: parts(part(sdp('10.9.9.7', 4010), early)) });
    assert.deepEqual(portsOf(described(offer)[0]!), [0]);
    const whole = { body: sdp('10.8.8.7', 5010), headers: [early] };
    const ringing = respond(offer, { status: 183, ...whole });
    assert.deepEqual(portsOf(ringing.message.body), [0]);
    assert.doesNotMatch(offer.text + ringing.text, /10\.[89]\./);
    assert.equal(relay.stats.portsInUse, 0);
    const rubbish = respond(offer, { status: 183, headers: [early], body: 'v=0\r\n10.8.8.7\r\n' });
    assert.equal(rubbish.message.body, '', 'what cannot be read goes no further');
  });

  test('an encrypted one is refused, or passes by policy and is told of', async (t) => {
    const office = await open(t);
    const refused = office.invite({ contentType: mixed, body: parts(sealed) });
    assert.equal(refused.message.status, 488);
    assert.match(refused.text, /^Warning: 399 cloudsip "A part of the body is encrypted or signed/m);
    assert.deepEqual(office.unrelayed, []);

    const lenient = await open(t, { unreadable: 'pass' });
    const body = parts(sealed);
    const passed = lenient.invite({ contentType: mixed, body });
    assert.equal(passed.message.body, body);
    assert.equal(lenient.unrelayed.length, 1);
    assert.match(lenient.unrelayed[0]!, /^call-1@test: A part of the body is encrypted/);
  });

  test('what can be read is relayed also beside one that passes by policy', async (t) => {
    const { invite, unrelayed } = await open(t, { unreadable: 'pass' });
    const offer = invite({ contentType: mixed, body: parts(part(sdp('10.9.9.9', 4000)), sealed) });
    assert.doesNotMatch(offer.text, /10\.9\./);
    assert.ok(offer.message.body.includes(sealed));
    assert.equal(unrelayed.length, 1);
  });

  test('stay as they came where media goes past the relay', async (t) => {
    const { invite, respond } = await open(t, { path: 'direct' });
    const body = parts(part(sdp('10.9.9.7', 4010), early));
    const offer = invite({ contentType: mixed, body });
    assert.equal(offer.message.body, body);
    assert.equal(respond(offer, { status: 183, contentType: mixed, body }).message.body, body);
  });
});
