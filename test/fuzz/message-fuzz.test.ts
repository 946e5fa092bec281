/**
 * Broken messages by the thousand, the same ones each time: nothing throws, nothing is kept for ever, little is
 * sent for what is received, and what is sent is SIP.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { familyOf, formatEndpoint } from '../../src/net/address.ts';
import { ResolveError } from '../../src/sip/transport/resolve-error.ts';
import type { Resolver } from '../../src/sip/transport/resolver.ts';
import { readVector, vectorNames } from '../rfc/judge.ts';
import { calculateResponse } from '../support/digest-client.ts';
import { type HarnessOptions, ProxyHarness, type SentMessage } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';
import { mutate, noise, pick, type Random, seededRandom } from './mutate.ts';

const vectors = ['rfc4475', 'rfc5118'].flatMap((directory) =>
  vectorNames(directory).map((name) => readVector(directory, name)),
);

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5062';

/** Answers for numbers, and for half of the names at once; the others are not found, later. */
const resolver: Resolver = {
  resolveNow: ({ host, port }) =>
    familyOf(host) || host.length % 2 === 0
      ? [{ transport: 'udp', address: familyOf(host) ? host : '192.0.2.77', port: port ?? 5060 }]
      : undefined,
  resolve: ({ host }) => Promise.reject(new ResolveError('RESOLVE_NOT_FOUND', `no ${host} in this test`)),
  close: () => {},
};

/** At most for one message: 100 Trying, two branches, a CANCEL each, or an ACK and a response. */
const mostForOne = 6;

class Target {
  readonly harness: ProxyHarness;
  received = 0;
  sent = 0;

  constructor(options: HarnessOptions = {}) {
    this.harness = new ProxyHarness({
      users: ['alice', 'bob', 'user', 'UserB', 'j.user', 'vivekg'],
      domains: ['example.com', 'example.org', 'chair-dnrc.example.com', 'services.example.com'],
      resolver,
      ...options,
    });
    for (const user of ['bob', 'user', 'UserB', 'vivekg']) {
      this.harness.bind(user, `sip:${user}@198.51.100.20:5062`, bob);
      this.harness.bind(user, `sip:${user}@10.0.0.77`, '10.0.0.77:5060');
    }
  }

  /** Gives it a message and looks at what comes out. */
  give(text: string, source: string, most: number = mostForOne): SentMessage[] {
    this.received++;
    let sent: SentMessage[];
    try {
      this.harness.receive(text, source);
      sent = this.look();
    } catch (error) {
      throw new Error(`message ${this.received} met an error: ${JSON.stringify(text)}`, { cause: error });
    }
    assert.ok(sent.length <= most, `${sent.length} messages for ${JSON.stringify(text)}`);
    return sent;
  }

  advance(ms: number): void {
    this.harness.clock.advance(ms);
    this.look();
  }

  /** All that was sent can be read by the next one. */
  look(): SentMessage[] {
    const sent = this.harness.take();
    this.sent += sent.length;
    for (const { message, text } of sent) {
      assert.equal(message.defect, undefined, text);
      // In a response the Via is what the one behind us made of it.
      if (message.isRequest) assert.ok(message.via, text);
    }
    return sent;
  }

  /** Time heals: no transaction and no timer of one is left. */
  async assertNothingLeft(): Promise<void> {
    await setImmediate();
    for (let n = 0; n < 20; n++) this.advance(60_000);
    const { layer } = this.harness;
    assert.equal(layer.serverTransactions, 0, 'server transactions');
    assert.equal(layer.clientTransactions, 0, 'client transactions');
    assert.equal(layer.pendingTimers, 0, 'timers');
    assert.equal(layer.counters.received, this.received);
  }
}

function corpus(): string[] {
  const call = (method: string): string =>
    requestText({ method, body: method === 'INVITE' ? 'v=0\r\n' : '' });
  const methods = ['INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'REGISTER', 'MESSAGE', 'SUBSCRIBE', 'REFER'];
  return [...vectors, ...methods.map(call)];
}

/** The same in a transaction of its own. */
function fresh(text: string, n: number): string {
  return text.replaceAll('branch=z9hG4bK', `branch=z9hG4bK${n}.`);
}

describe('broken messages', () => {
  test('requests and responses out of the blue', async () => {
    const random = seededRandom(4475);
    const target = new Target();
    const texts = corpus();
    for (let n = 0; n < 12_000; n++) {
      const text = mutate(fresh(pick(random, texts), n), random, pick(random, texts));
      target.give(text, random() < 0.8 ? carol : bob);
      if (n % 1000 === 999) target.advance(random() * 10_000);
    }
    await target.assertNothingLeft();
    assert.ok(target.harness.counters.forwarded > 500, 'the mutations do not spoil everything');
    assert.ok(target.harness.counters.refused > 500);
  });

  test('over IPv6', async () => {
    const random = seededRandom(5118);
    const target = new Target({ listeners: ['udp:[2001:db8::10]:5060', 'udp:203.0.113.5:5060'] });
    const texts = corpus();
    for (let n = 0; n < 3000; n++)
      target.give(mutate(fresh(pick(random, texts), n), random, pick(random, texts)), '[2001:db8::9:1]:5060');
    await target.assertNothingLeft();
    assert.ok(target.harness.counters.forwarded > 50);
  });

  test('bytes without order, alone and behind a start line', async () => {
    const random = seededRandom(1);
    const target = new Target();
    for (let n = 0; n < 3000; n++) {
      const start = pick(random, ['', 'INVITE sip:bob@example.com SIP/2.0\r\n', 'SIP/2.0 200 OK\r\n']);
      target.give(start + noise(random), carol);
    }
    await target.assertNothingLeft();
  });
});

describe('a broken telephone with the right password', () => {
  test('registers, and is called at what it registered', async () => {
    const random = seededRandom(3665);
    const target = new Target();
    const { location } = target.harness;
    let registered = 0;
    let called = 0;
    for (let n = 0; n < 3000; n++) {
      const text = requestText({
        method: 'REGISTER',
        uri: 'sip:example.com',
        from: '<sip:alice@example.com>;tag=1',
        to: '<sip:alice@example.com>',
        branch: `z9hG4bKreg${n}`,
        callId: `reg-${n % 7}`,
        cseq: n + 1,
        contact: '"A" <sip:alice@198.51.100.30:5066;ob?x=y>;q=0.5;expires=600, <sip:alice@10.1.1.1>',
        headers: ['Path: <sip:192.0.2.50;lr>', 'Supported: path', 'Expires: 700'],
      });
      const lines = mutate(text, random, pick(random, vectors)).split('\r\n');
      // The Authorization goes in behind the start line: what was broken must not be what is hashed.
      const [answer] = target.give(
        ['REGISTER sip:example.com SIP/2.0', authorization(target), ...lines.slice(1)].join('\r\n'),
        carol,
      );
      if (answer?.message.status === 200) registered++;
      assert.ok(location.lookup('alice').length <= 10);
      if (n % 10 !== 9) continue;
      const invite = requestText({
        uri: 'sip:alice@example.com',
        branch: `z9hG4bKcall${n}`,
        callId: `call-${n}`,
      });
      called += target.give(invite, carol, 12).filter(({ message }) => message.method === 'INVITE').length;
      target.advance(40_000);
    }
    await target.assertNothingLeft();
    assert.ok(registered > 500, `${registered} registrations came about in spite of all`);
    assert.ok(called > 100, `${called} calls went out to what was registered`);
  });
});

/** A header that answers a fresh challenge. */
function authorization(target: Target): string {
  const probe = requestText({
    method: 'REGISTER',
    uri: 'sip:example.com',
    branch: `z9hG4bKp${target.received}`,
  });
  const nonce = /nonce="([^"]+)"/.exec(target.give(probe, bob)[0]!.text)![1]!;
  const value = calculateResponse({
    user: 'alice',
    password: 'secret',
    realm: 'cloudsip',
    nonce,
    method: 'REGISTER',
    uri: 'sip:example.com',
  });
  return `Authorization: ${value}`;
}

describe('calls between broken telephones', () => {
  test('responses to a forwarded request, ACK, CANCEL and requests within the dialog', async () => {
    const random = seededRandom(3261);
    const target = new Target();
    let established = 0;
    for (let n = 0; n < 1200; n++) established += call(target, random, n);
    await target.assertNothingLeft();
    assert.ok(established > 100, `${established} calls came about in spite of all`);
  });

  test('a 2xx that comes again without the Via of the caller harms nothing', () => {
    const target = new Target();
    const invite = target.give(requestText(), carol).at(-1)!;
    const ok = responseText(invite.text, { status: 200 });
    const bare = ok.replace(/Via: .*received=198\.51\.100\.10\r\n/, '');
    const from = formatEndpoint(invite.destination);
    assert.equal(target.give(bare.replace('200 Reason', '180 Reason'), from).length, 0, 'a 180 for nobody');
    assert.ok(target.give(ok, from).some(({ message }) => message.status === 200));
    assert.equal(target.give(bare, from).length, 0);
  });
});

/** One call with a broken message at some places; 1 where it was answered all the same. */
function call(target: Target, random: Random, n: number): number {
  const perhaps = (text: string): string =>
    random() < 0.4 ? mutate(text, random, pick(random, vectors)) : text;
  const options = { callId: `call-${n}`, branch: `z9hG4bKcall${n}`, body: 'v=0\r\n' };
  const invite = requestText(options);
  const forwarded = target.give(invite, carol).filter(({ message }) => message.method === 'INVITE');
  let answered: string | undefined;
  for (let round = 0; round < 4; round++) {
    for (const { text, destination } of forwarded) {
      const status = pick(random, [100, 180, 183, 200, 200, 302, 401, 407, 404, 486, 503, 600]);
      const contact = '<sip:bob@198.51.100.20:5062>';
      const answer = perhaps(responseText(text, { status, contact, body: random() < 0.5 ? 'v=0\r\n' : '' }));
      for (const sent of target.give(answer, formatEndpoint(destination)))
        if (sent.message.status >= 200 && sent.message.status < 300) answered = sent.text;
    }
    if (random() < 0.2) target.give(perhaps(requestText({ ...options, method: 'CANCEL', body: '' })), carol);
    if (random() < 0.3) target.advance(random() * 5000);
    if (random() < 0.2) target.give(perhaps(invite), carol);
  }
  const route = answered && /^Record-Route: (.*)\r$/m.exec(answered)?.[1];
  if (!answered || !route) return 0;
  const dialog = {
    callId: `call-${n}`,
    uri: 'sip:bob@198.51.100.20:5062',
    to: '<sip:bob@example.com>;tag=callee',
    headers: [`Route: ${route}`],
  };
  for (const [i, method] of ['ACK', 'INFO', 'UPDATE', 'BYE'].entries()) {
    const branch = `z9hG4bKin${n}.${i}`;
    for (const { text, destination, message } of target.give(
      perhaps(requestText({ ...dialog, method, branch, cseq: 1 + i })),
      carol,
    )) {
      if (message.isRequest && message.method !== 'ACK')
        target.give(perhaps(responseText(text, { status: 200 })), formatEndpoint(destination));
    }
  }
  return 1;
}
