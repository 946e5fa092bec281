import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { parseSipUri } from '../../../src/sip/message/uri.ts';
import { awaitedAnswers } from '../../../src/sip/transport/awaited-answers.ts';
import { ResolveError } from '../../../src/sip/transport/resolve-error.ts';
import { createResolver, type Locatable, type Resolver } from '../../../src/sip/transport/resolver.ts';
import { FakeDns } from '../../support/fake-dns.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const uri = (text: string): Locatable => {
  const parsed = parseSipUri(text);
  assert.ok(parsed, text);
  return parsed;
};
const brief = (targets: readonly { transport: string; address: string; port: number }[]): string[] =>
  targets.map(({ transport, address, port }) => `${transport} ${address} ${port}`);

let dns: FakeDns;
let clock: ManualClock;
let resolver: Resolver;
const options = () => ({
  clock,
  servers: [dns.server],
  timeoutMs: 100,
  tries: 1,
  hosts: new Map([['gateway', ['10.0.0.9', 'fd00::9']]]),
  random: () => 0,
});

before(() => {
  clock = new ManualClock();
});

describe('resolving a SIP URI', { timeout: 20_000 }, () => {
  beforeEach(async () => {
    dns = await FakeDns.start();
    resolver = createResolver(options());
  });
  afterEach(async () => {
    resolver.close();
    await dns.close();
  });
  const resolve = async (text: string): Promise<string[]> => brief(await resolver.resolve(uri(text)));
  const rejects = async (text: string, code: string): Promise<void> => {
    await assert.rejects(resolver.resolve(uri(text)), (error) => {
      assert.ok(error instanceof ResolveError);
      assert.equal(error.code, code);
      return true;
    });
  };

  const numeric: [string, string[] | undefined][] = [
    ['sip:bob@192.0.2.5', ['udp 192.0.2.5 5060']],
    ['sip:192.0.2.5:5080', ['udp 192.0.2.5 5080']],
    ['sip:192.0.2.5:0', ['udp 192.0.2.5 5060']],
    ['sip:192.0.2.5;transport=UDP;lr', ['udp 192.0.2.5 5060']],
    ['sip:[2001:DB8::5]:5070', ['udp 2001:db8::5 5070']],
    ['sip:[::ffff:192.0.2.5]', ['udp 192.0.2.5 5060']],
    ['sip:example.com;maddr=192.0.2.9', ['udp 192.0.2.9 5060']],
    ['sip:example.com:5090;maddr=[2001:db8::9]', ['udp 2001:db8::9 5090']],
    ['sip:GATEWAY:5070', ['udp 10.0.0.9 5070', 'udp fd00::9 5070']],
    ['sip:192.0.2.5;transport=tcp', undefined],
    ['sips:192.0.2.5', undefined],
    ['sips:192.0.2.5;transport=udp', undefined],
    ['sip:example.com', undefined],
  ];
  for (const [text, expected] of numeric) {
    test(`${text} at once: ${expected ?? 'no'}`, async () => {
      const targets = resolver.resolveNow(uri(text));
      assert.deepEqual(targets && brief(targets), expected);
      if (expected) assert.deepEqual(await resolve(text), expected);
      assert.deepEqual(dns.questions, []);
    });
  }

  test('what is not spoken is refused without a question', async () => {
    await rejects('sip:192.0.2.5;transport=tcp', 'RESOLVE_TRANSPORT');
    await rejects('sips:192.0.2.5', 'RESOLVE_TRANSPORT');
    await rejects('sips:192.0.2.5;transport=udp', 'RESOLVE_TRANSPORT');
    await rejects('sips:example.com', 'RESOLVE_TRANSPORT');
    await rejects('sips:example.com:5061', 'RESOLVE_TRANSPORT');
    await rejects('sip:example.com;transport=sctp', 'RESOLVE_TRANSPORT');
    assert.deepEqual(dns.questions, []);
  });

  test('a port asks for addresses only; IPv4 before IPv6', async () => {
    dns.set(
      'example.com',
      { type: 'A', address: '192.0.2.1' },
      { type: 'A', address: '192.0.2.2' },
      { type: 'AAAA', address: '2001:db8::1' },
    );
    assert.deepEqual(await resolve('sip:example.com:5070'), [
      'udp 192.0.2.1 5070',
      'udp 192.0.2.2 5070',
      'udp 2001:db8::1 5070',
    ]);
    assert.deepEqual(dns.questions.sort(), ['A example.com', 'AAAA example.com']);
  });

  test('a name without NAPTR and SRV is asked for addresses, port 5060', async () => {
    dns.set('example.com', { type: 'A', address: '192.0.2.1' });
    assert.deepEqual(await resolve('sip:Example.COM.'), ['udp 192.0.2.1 5060']);
    assert.deepEqual(dns.questions.slice(0, 2), ['NAPTR example.com', 'SRV _sip._udp.example.com']);
  });

  test('NAPTR leads to the SRV of what is spoken, by order and preference', async () => {
    const naptr = { type: 'NAPTR', flags: 's', order: 10 } as const;
    dns.set(
      'example.com',
      { ...naptr, order: 1, preference: 1, service: 'SIPS+D2T', replacement: 'tls.example.com' },
      { ...naptr, preference: 2, service: 'SIP+D2U', replacement: 'second.example.com' },
      { ...naptr, preference: 1, service: 'sip+d2u', replacement: 'first.example.com' },
      { ...naptr, preference: 0, service: 'SIP+D2U', flags: 'u', replacement: 'odd.example.com' },
    );
    dns.set('first.example.com', {
      type: 'SRV',
      priority: 0,
      weight: 0,
      port: 5066,
      target: 'a.example.com',
    });
    dns.set('a.example.com', { type: 'A', address: '192.0.2.7' });
    assert.deepEqual(await resolve('sip:example.com'), ['udp 192.0.2.7 5066']);
    assert.deepEqual(dns.questions.slice(0, 2), ['NAPTR example.com', 'SRV first.example.com']);
  });

  test('a transport in the URI skips NAPTR', async () => {
    dns.set('_sip._udp.example.com', {
      type: 'SRV',
      priority: 0,
      weight: 0,
      port: 5066,
      target: 'a.example.com',
    });
    dns.set('a.example.com', { type: 'A', address: '192.0.2.7' });
    assert.deepEqual(await resolve('sip:example.com;transport=udp'), ['udp 192.0.2.7 5066']);
    assert.equal(dns.questions[0], 'SRV _sip._udp.example.com');
  });

  test('SRV by priority, each server with all its addresses; one that is unknown is passed over', async () => {
    const srv = { type: 'SRV', weight: 0 } as const;
    dns.set(
      '_sip._udp.example.com',
      { ...srv, priority: 30, port: 5063, target: 'c.example.com' },
      { ...srv, priority: 10, port: 5061, target: 'a.example.com' },
      { ...srv, priority: 5, port: 5060, target: 'gone.example.com' },
      { ...srv, priority: 20, port: 5062, target: 'gateway' },
    );
    dns.set('a.example.com', { type: 'A', address: '192.0.2.1' }, { type: 'AAAA', address: '2001:db8::1' });
    dns.set('c.example.com', { type: 'A', address: '192.0.2.3' }, { type: 'A', address: '0.0.0.0' });
    assert.deepEqual(await resolve('sip:example.com'), [
      'udp 192.0.2.1 5061',
      'udp 2001:db8::1 5061',
      'udp 10.0.0.9 5062',
      'udp fd00::9 5062',
      'udp 192.0.2.3 5063',
    ]);
  });

  test('an SRV of "." means that there is no service, whatever the address records say', async () => {
    dns.set('_sip._udp.example.com', { type: 'SRV', priority: 0, weight: 0, port: 5060, target: '.' });
    dns.set('example.com', { type: 'A', address: '192.0.2.1' });
    await rejects('sip:example.com', 'RESOLVE_NOT_FOUND');
  });

  test('no more than ten targets, none twice', async () => {
    const servers = Array.from({ length: 15 }, (_, i) => `s${i}.example.com`);
    dns.set(
      '_sip._udp.example.com',
      ...servers.map((target, i) => ({ type: 'SRV', priority: i, weight: 0, port: 5060, target }) as const),
    );
    servers.forEach((name, i) => {
      dns.set(
        name,
        { type: 'A', address: `192.0.2.${i >> 1}` },
        { type: 'A', address: `198.51.100.${i >> 1}` },
      );
    });
    const targets = await resolve('sip:example.com');
    assert.deepEqual(
      targets,
      [0, 1, 2, 3, 4].flatMap((i) => [`udp 192.0.2.${i} 5060`, `udp 198.51.100.${i} 5060`]),
    );
  });

  test('only families that can be reached are asked for', async () => {
    const ipv6Only = createResolver({ ...options(), families: () => ['ipv6'] });
    dns.set('example.com', { type: 'A', address: '192.0.2.1' }, { type: 'AAAA', address: '2001:db8::1' });
    assert.deepEqual(brief(await ipv6Only.resolve(uri('sip:example.com:5060'))), ['udp 2001:db8::1 5060']);
    assert.deepEqual(brief(ipv6Only.resolveNow(uri('sip:gateway'))!), ['udp fd00::9 5060']);
    assert.deepEqual(dns.questions, ['AAAA example.com']);
    ipv6Only.close();
  });

  test('a name that does not exist is refused, and not asked again for a few seconds', async () => {
    await rejects('sip:nowhere.example.com:5060', 'RESOLVE_NOT_FOUND');
    await rejects('sip:nowhere.example.com:5060', 'RESOLVE_NOT_FOUND');
    assert.equal(dns.questions.length, 2);
    clock.advance(5000);
    dns.set('nowhere.example.com', { type: 'A', address: '192.0.2.1' });
    assert.deepEqual(await resolve('sip:nowhere.example.com:5060'), ['udp 192.0.2.1 5060']);
  });

  test('what is no name is refused', async () => {
    await rejects(`sip:${'a'.repeat(70)}.example.com:5060`, 'RESOLVE_NOT_FOUND');
  });

  for (const mishap of ['silence', 'garbage', 'servfail'] as const) {
    test(`${mishap} instead of addresses is an error; of NAPTR it is passed over`, async () => {
      dns.spoil('A example.com', mishap);
      dns.spoil('AAAA example.com', mishap);
      dns.spoil('NAPTR example.net', mishap);
      dns.set('example.net', { type: 'A', address: '192.0.2.1' });
      await rejects('sip:example.com:5060', 'RESOLVE_DNS');
      assert.deepEqual(await resolve('sip:example.net'), ['udp 192.0.2.1 5060']);
    });
  }

  test('one family that fails does not hide the other', async () => {
    dns.spoil('AAAA example.com', 'servfail');
    dns.set('example.com', { type: 'A', address: '192.0.2.1' });
    assert.deepEqual(await resolve('sip:example.com:5060'), ['udp 192.0.2.1 5060']);
  });

  test('while an answer is awaited the loop knows of it, and whatever comes it is not awaited for ever', async () => {
    dns.set('example.com', { type: 'A', address: '192.0.2.1' });
    dns.spoil('A broken.example.com', 'servfail');
    dns.spoil('AAAA broken.example.com', 'silence');
    for (const [name, code] of [
      ['example.com', undefined],
      ['nowhere.example.com', 'RESOLVE_NOT_FOUND'],
      ['broken.example.com', 'RESOLVE_DNS'],
    ] as const) {
      assert.equal(awaitedAnswers.count, 0);
      const asked = code ? rejects(`sip:${name}:5060`, code) : resolve(`sip:${name}:5060`);
      assert.equal(awaitedAnswers.count, 2, 'A and AAAA');
      await asked;
    }
    assert.equal(awaitedAnswers.count, 0);
    await resolve('sip:192.0.2.5');
    assert.equal(awaitedAnswers.count, 0);
  });

  test('answers hold for their TTL, and one question at a time is asked for a name', async () => {
    dns.set(
      'example.com',
      { type: 'A', ttl: 30, address: '192.0.2.1' },
      { type: 'A', ttl: 300, address: '192.0.2.2' },
    );
    const ipv4 = createResolver({ ...options(), families: () => ['ipv4'] });
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => ipv4.resolve(uri('sip:example.com:5060'))),
    );
    assert.ok(answers.every((targets) => targets.length === 2));
    assert.deepEqual(dns.questions, ['A example.com']);
    clock.advance(29_999);
    await ipv4.resolve(uri('sip:example.com:5060'));
    assert.equal(dns.questions.length, 1);
    clock.advance(1);
    await ipv4.resolve(uri('sip:example.com:5060'));
    assert.equal(dns.questions.length, 2);
    ipv4.close();
  });
});

after(() => assert.equal(clock.pending, 0));
