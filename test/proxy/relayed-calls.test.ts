import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { MediaRelay } from '../../src/media/media-contract.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import { defaultMediaPolicy, MediaAnchor, type MediaPolicy } from '../../src/proxy/media-anchor.ts';
import { CONTENT_LENGTH, RECORD_ROUTE } from '../../src/sip/message/header-id.ts';
import { addressesOf, Phone, portsOf, relayAddress, relayFor, rtp, sdp } from '../media/support.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { type RequestText, type ResponseText, requestText, responseText } from '../support/sip-text.ts';

/** The proxy with a relay that really moves packets, and bob registered beyond it. */
interface Office {
  readonly harness: ProxyHarness;
  readonly relay: MediaRelay;
  /** The relay's own clock, beside that of the proxy. */
  readonly clock: ManualClock;
  readonly anchor: MediaAnchor;
}

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';

async function open(
  t: TestContext,
  policy: Partial<MediaPolicy> = {},
  options: Partial<MediaRelayOptions> = {},
): Promise<Office> {
  const { relay, clock } = await relayFor(t, options);
  let anchor: MediaAnchor | undefined;
  const harness = new ProxyHarness({
    listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`],
    localNetworks: ['127.0.0.0/8'],
    media: (identity) => (anchor = new MediaAnchor(relay, identity, { ...defaultMediaPolicy, ...policy })),
  });
  harness.bind('bob', `sip:bob@${bob}`, bob);
  return { harness, relay, clock, anchor: anchor! };
}

/** Carol's INVITE; gives what left because of it but for the 100. */
function invite({ harness }: Office, options: RequestText): SentMessage[] {
  harness.receive(requestText(options), carol);
  return harness.take().filter(({ message }) => message.status !== 100);
}

/** Bob's response to what he got; gives what left because of it. */
function respond({ harness }: Office, to: SentMessage, options: ResponseText): SentMessage[] {
  harness.receive(responseText(to.text, { contact: `<sip:bob@${bob}>`, ...options }), bob);
  return harness.take();
}

const told = (sent: readonly SentMessage[]): string[] =>
  sent.map(({ message, destination }) => {
    const what = message.isRequest ? message.method : message.status;
    return `${what} ${destination.address}:${destination.port}`;
  });
const rubbish = 'v=0\r\nthis is no session description\r\n';

async function returned({ relay, anchor }: Office): Promise<void> {
  await relay.flush();
  assert.deepEqual([relay.stats.portsInUse, anchor.calls, anchor.invites], [0, 0, 0]);
}

describe('a description that nobody can read', () => {
  test('in an INVITE is answered with 488 and the reason, and nothing rings', async (t) => {
    const office = await open(t);
    const sent = invite(office, { body: rubbish });
    assert.deepEqual(told(sent), [`488 ${carol}`]);
    assert.match(sent[0]!.text, /^Warning: 399 cloudsip "The session description has no o= line\."\r$/m);
    assert.doesNotMatch(sent[0]!.text, /127\./);
    await returned(office);
  });

  test('is one that is compressed', async (t) => {
    const office = await open(t);
    const sent = invite(office, { body: '\x1f\x8b\x08', headers: ['Content-Encoding: gzip'] });
    assert.deepEqual(told(sent), [`488 ${carol}`]);
    await returned(office);
  });

  test('may be in a multipart body that is compressed, or that has no end', async (t) => {
    const office = await open(t);
    const contentType = 'multipart/mixed;boundary=b';
    const endlessBody = `--b\r\nContent-Type: application/sdp\r\n\r\n${sdp('10.9.9.9', 4000)}`;
    const packed = invite(office, { body: '\x1f\x8b\x08', contentType, headers: ['Content-Encoding: gzip'] });
    assert.deepEqual(told(packed), [`488 ${carol}`]);
    assert.match(packed[0]!.text, /^Warning: 399 cloudsip "The multipart body is encoded/m);
    const endless = invite(office, {
      body: endlessBody,
      contentType,
      callId: 'call-2@test',
      branch: 'z9hG4bK2nd',
    });
    assert.deepEqual(told(endless), [`488 ${carol}`]);
    assert.match(endless[0]!.text, /^Warning: 399 cloudsip "The multipart body has no end/m);
    await returned(office);
  });

  test('passes with its answer where the policy says so', async (t) => {
    const office = await open(t, { unreadable: 'pass' });
    const [request] = invite(office, { body: rubbish });
    assert.equal(request!.message.body, rubbish);
    const answer = sdp('10.8.8.8', 5000);
    const [response] = respond(office, request!, { status: 200, body: answer });
    assert.equal(response!.message.body, answer);
    assert.equal(office.relay.stats.portsInUse, 0);
  });

  test('in a 183 goes no further, while the 183 does', async (t) => {
    const office = await open(t);
    const [request] = invite(office, { body: sdp('10.9.9.9', 4000) });
    const [ringing] = respond(office, request!, { status: 183, body: rubbish });
    assert.deepEqual([ringing!.message.status, ringing!.message.body], [183, '']);
    const [ok] = respond(office, request!, { status: 200, body: sdp('10.8.8.8', 5000) });
    assert.deepEqual(addressesOf(ok!.message.body), ['203.0.113.5'], 'a good answer may follow');
  });

  test('in a 200 ends the call on both sides before it is one', async (t) => {
    const office = await open(t);
    const [request] = invite(office, {
      body: sdp('10.9.9.9', 4000),
      headers: ['Record-Route: <sip:198.51.100.9;lr>'],
    });
    const sent = respond(office, request!, {
      status: 200,
      body: rubbish,
      headers: ['Record-Route: <sip:beyond.invalid;lr>'],
    });
    assert.deepEqual(told(sent), [`ACK ${bob}`, `BYE ${bob}`, `488 ${carol}`]);
    const [ack, bye, refusal] = sent.map(({ message }) => message);
    assert.equal(ack!.requestUri, `sip:bob@${bob}`);
    assert.deepEqual([ack!.cseqNumber, bye!.cseqNumber], [1, 2]);
    assert.deepEqual([bye!.fromTag, bye!.toTag, bye!.callId], ['caller', 'callee', 'call-1@test']);
    assert.match(bye!.text, /^Reason: SIP;cause=200;text="media cannot be relayed"\r$/m);
    assert.match(refusal!.text, /^Warning: 399 cloudsip /m);
    await returned(office);
    assert.deepEqual(
      told(respond(office, request!, { status: 200, body: rubbish })),
      [`ACK ${bob}`],
      'said again it is acknowledged again',
    );
    await returned(office);
  });

  test('in the 200 of a re-INVITE leaves the call as it was', async (t) => {
    const office = await open(t);
    const { relay } = office;
    const { callerSays } = call(office, sdp('10.9.9.9', 4000), sdp('10.8.8.8', 5000));
    const [request] = callerSays('INVITE', sdp('10.9.9.9', 4000, { port: 4002, media: 'video' }));
    assert.equal(relay.stats.portsInUse, 8);
    const sent = respond(office, request!, { status: 200, body: rubbish });
    assert.deepEqual(told(sent), [`ACK ${bob}`, `488 ${carol}`]);
    await relay.flush();
    assert.equal(relay.stats.portsInUse, 4);
  });

  test('in an ACK goes no further, so that the callee can tell', async (t) => {
    const office = await open(t);
    const { callerSays } = call(office, '', sdp('10.8.8.8', 5000));
    const [ack] = callerSays('ACK', rubbish, 1);
    assert.deepEqual([ack!.message.method, ack!.message.body], ['ACK', '']);
  });
});

describe('early answers of a fork beyond us', () => {
  test('are those of the one that wins, though another one spoke last and the 200 says nothing', async (t) => {
    const office = await open(t);
    const caller = await Phone.open(t);
    const [winner, loser] = [await Phone.open(t), await Phone.open(t)];
    const [request] = invite(office, { body: sdp('127.0.0.1', caller.port) });
    const early = (toTag: string, phone: Phone): SentMessage[] =>
      respond(office, request!, { status: 183, toTag, body: sdp('127.0.0.1', phone.port) });
    const [answer] = early('one', winner);
    early('two', loser);
    const port = portsOf(answer!.message.body)[0]!;
    await office.relay.flush();
    await caller.send(rtp('to who spoke last'), port);
    assert.deepEqual((await loser.next()).payload, rtp('to who spoke last'));
    respond(office, request!, { status: 200, toTag: 'one' });
    await office.relay.flush();
    await caller.send(rtp('to who won'), port);
    assert.deepEqual((await winner.next()).payload, rtp('to who won'));
  });
});

describe('a description in a multipart body', () => {
  test('is relayed, and what stands beside it is kept', async (t) => {
    const office = await open(t);
    const part = (text: string): string =>
      `--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/sdp\r\n\r\n${text}\r\n--b--\r\n`;
    const contentType = 'multipart/mixed;boundary=b';
    const [request] = invite(office, { body: part(sdp('10.9.9.9', 4000)), contentType });
    const { body } = request!.message;
    assert.equal(request!.message.value(CONTENT_LENGTH), String(body.length));
    const written = body.slice(body.indexOf('v=0'), body.lastIndexOf('\r\n--b--'));
    assert.equal(body, part(written));
    assert.deepEqual(addressesOf(written), ['203.0.113.5']);
    assert.equal(office.relay.stats.portsInUse, 4);
  });
});

describe('without free ports', () => {
  test('a call is refused before it rings, and nothing is left of it', async (t) => {
    const office = await open(t, {}, { portRange: { from: 30_000, to: 30_005 } });
    const { relay } = office;
    invite(office, { body: sdp('10.9.9.9', 4000) });
    assert.equal(relay.stats.portsInUse, 4);
    const second = { callId: 'call-2@test', branch: 'z9hG4bKsecond', body: sdp('10.9.9.9', 4000) };
    const sent = invite(office, second);
    assert.deepEqual(told(sent), [`503 ${carol}`]);
    assert.match(sent[0]!.text, /^Warning: 370 cloudsip "No media ports are free"\r$/m);
    await relay.flush();
    assert.deepEqual([relay.stats.portsInUse, relay.stats.sessions], [4, 1]);
  });

  test('a stream that is added is refused, and the call goes on', async (t) => {
    const office = await open(t, {}, { portRange: { from: 30_000, to: 30_005 } });
    const { callerSays } = call(office, sdp('10.9.9.9', 4000), sdp('10.8.8.8', 5000));
    const sent = callerSays('INVITE', sdp('10.9.9.9', 4000, { port: 4002, media: 'video' }));
    assert.deepEqual(told(sent), [`503 ${carol}`]);
    await office.relay.flush();
    assert.equal(office.relay.stats.portsInUse, 4);
  });
});

describe('a call that passes twice', () => {
  /** A proxy in the cloud's network: what is for its user it sends back to us for bob. */
  const inner = '127.0.0.77:5060';

  /** What a proxy does to a request before it sends it on to `uri`. */
  const pass = (text: string, uri: string, routed: boolean): string => {
    const via = `Via: SIP/2.0/UDP ${inner};branch=z9hG4bKinner${/^CSeq: .*$/m.exec(text)![0].replace(/\W/g, '')}`;
    const own = routed ? '' : `Record-Route: <sip:${inner};lr>\r\n`;
    return text
      .replace(/^(\w+) \S+/, (_, method: string) => `${method} ${uri}`)
      .replace('\r\n', `\r\n${via}\r\n${own}`)
      .replace(new RegExp(`^Route: <sip:${inner};lr>\r\n`, 'm'), '');
  };
  /** And to a response. */
  const passBack = (text: string): string => text.replace(/^Via: [^\r]*\r\n/m, '');

  test('has media of its own each time: it is heard both ways, and BYE ends both', async (t) => {
    const office = await open(t);
    const { harness, relay, anchor } = office;
    const caller = await Phone.open(t);
    const callee = await Phone.open(t);
    harness.bind('alice', `sip:alice@${inner}`, inner);

    const [first] = invite(office, { uri: 'sip:alice@example.com', body: sdp('127.0.0.1', caller.port) });
    assert.deepEqual(told([first!]), [`INVITE ${inner}`]);
    harness.receive(pass(first!.text, 'sip:bob@example.com', false), inner);
    const second = harness.take().find(({ message }) => message.method === 'INVITE')!;
    assert.deepEqual(told([second]), [`INVITE ${bob}`]);
    assert.equal(relay.stats.sessions, 2);
    const marks = second.message.values(RECORD_ROUTE).map((value) => /;mp=\d+/.exec(value)?.[0]);
    assert.deepEqual(marks, [';mp=1', undefined, undefined]);

    const [innerOk] = respond(office, second, { status: 200, body: sdp('127.0.0.1', callee.port) });
    assert.deepEqual(told([innerOk!]), [`200 ${inner}`]);
    harness.receive(passBack(innerOk!.text), inner);
    const [ok] = harness.take();
    assert.deepEqual(told([ok!]), [`200 ${carol}`]);

    await relay.flush();
    await caller.send(rtp('to bob'), portsOf(ok!.message.body)[0]!);
    assert.deepEqual((await callee.next()).payload, rtp('to bob'));
    await callee.send(rtp('to carol'), portsOf(second.message.body)[0]!);
    assert.deepEqual((await caller.next()).payload, rtp('to carol'));

    // The caller's BYE takes the same way.
    const routes = ok!.message.values(RECORD_ROUTE).toReversed();
    harness.receive(
      requestText({
        method: 'BYE',
        uri: `sip:bob@${bob}`,
        to: '<sip:bob@example.com>;tag=callee',
        cseq: 2,
        branch: 'z9hG4bKbye',
        headers: routes.map((route) => `Route: ${route}`),
      }),
      carol,
    );
    const [innerBye] = harness.take();
    assert.deepEqual(told([innerBye!]), [`BYE ${inner}`]);
    harness.receive(pass(innerBye!.text, `sip:bob@${bob}`, true), inner);
    const [bye] = harness.take();
    assert.deepEqual(told([bye!]), [`BYE ${bob}`]);
    const [innerDone] = respond(office, bye!, { status: 200 });
    assert.equal(anchor.calls, 1, 'the outer pass waits for its own response');
    harness.receive(passBack(innerDone!.text), inner);
    await returned(office);
  });

  test('without an offer, each keeps its place from the INVITE on', async (t) => {
    const office = await open(t);
    const { harness, relay, anchor } = office;
    harness.bind('alice', `sip:alice@${inner}`, inner);
    const [first] = invite(office, { uri: 'sip:alice@example.com' });
    harness.receive(pass(first!.text, 'sip:bob@example.com', false), inner);
    const second = harness.take().find(({ message }) => message.method === 'INVITE')!;
    assert.equal(anchor.invites, 2);
    const [innerOk] = respond(office, second, { status: 200, body: sdp('127.0.0.1', 5000) });
    harness.receive(passBack(innerOk!.text), inner);
    const [ok] = harness.take();
    assert.deepEqual([relay.stats.sessions, anchor.invites], [2, 0]);
    assert.notDeepEqual(portsOf(ok!.message.body), portsOf(innerOk!.message.body));
  });

  test('because a proxy before us forks, no branch takes the other’s media', async (t) => {
    const office = await open(t);
    const { harness, relay } = office;
    harness.bind('alice', 'sip:alice@198.51.100.30:5060', '198.51.100.30:5060');
    const [one] = invite(office, { body: sdp('127.0.0.1', 4000), branch: 'z9hG4bKfork1' });
    const [two] = invite(office, {
      uri: 'sip:alice@example.com',
      body: sdp('127.0.0.1', 4000),
      branch: 'z9hG4bKfork2',
    });
    assert.notDeepEqual(portsOf(one!.message.body), portsOf(two!.message.body));
    assert.deepEqual([relay.stats.sessions, relay.stats.portsInUse], [2, 8]);
    respond(office, one!, { status: 486 });
    await relay.flush();
    assert.deepEqual([relay.stats.sessions, relay.stats.portsInUse], [1, 4]);
  });
});

describe('a call whose media falls silent', () => {
  test('is ended on both sides where that is asked for', async (t) => {
    const office = await open(t, { silence: 'bye' });
    const { harness, clock } = office;
    const { callerSays } = call(office, sdp('10.9.9.9', 4000), sdp('10.8.8.8', 5000));
    callerSays('INFO', 'x', 7);
    clock.advance(120_000);
    const sent = harness.take();
    assert.deepEqual(told(sent), [`BYE ${carol}`, `BYE ${bob}`]);
    const [toCarol, toBob] = sent.map(({ message }) => message);
    assert.deepEqual([toCarol!.fromTag, toCarol!.toTag], ['callee', 'caller']);
    assert.deepEqual([toBob!.fromTag, toBob!.toTag], ['caller', 'callee']);
    assert.equal(toBob!.cseqNumber, 8, 'above all that the caller has used');
    assert.equal(toCarol!.requestUri, 'sip:carol@198.51.100.10:5060');
    assert.equal(toCarol!.via?.host, '203.0.113.5');
    await returned(office);
  });

  test('only gives its ports back where it is not', async (t) => {
    const office = await open(t);
    call(office, sdp('10.9.9.9', 4000), sdp('10.8.8.8', 5000));
    office.clock.advance(120_000);
    assert.deepEqual(office.harness.take(), []);
    await returned(office);
  });
});

/** A call that stands: what the caller says in it afterwards, and what left because of that. */
function call(
  office: Office,
  offer: string,
  answer: string,
): { callerSays: (method: string, body: string, cseq?: number) => SentMessage[] } {
  const [request] = invite(office, { body: offer });
  const [ok] = respond(office, request!, { status: 200, body: answer });
  const routes = ok!.message.values(RECORD_ROUTE).toReversed();
  return {
    callerSays: (method, body, cseq = 2) =>
      invite(office, {
        method,
        uri: `sip:bob@${bob}`,
        to: '<sip:bob@example.com>;tag=callee',
        cseq,
        branch: `z9hG4bK${method}${cseq}`,
        headers: routes.map((route) => `Route: ${route}`),
        body,
      }),
  };
}
