import assert from 'node:assert/strict';
import { createServer, get, type ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { Examination } from '../../src/discovery/finding.ts';
import type { Provider } from '../../src/discovery/provider.ts';
import { checkAddressSources } from '../../src/doctor/address-sources.ts';
import { checkClock } from '../../src/doctor/clock-skew.ts';
import { examineCloud } from '../../src/doctor/cloud-examination.ts';
import { checkDetection } from '../../src/doctor/detection.ts';
import { checkMetadata } from '../../src/doctor/metadata.ts';
import { type MetadataExchange, MetadataWatch } from '../../src/doctor/metadata-watch.ts';
import { type FakeServer, listen } from '../support/fake-server.ts';
import { fakePatient, judged, pair, twoCards, udp } from './fake-patient.ts';

function provider(name: string, vendor: string, more: Partial<Provider> = {}): Provider {
  return {
    name,
    detect: ({ dmi }) => dmi['sys_vendor'] === vendor,
    discover: async () => twoCards(),
    watch: () => {},
    ...more,
  };
}
const ec2 = provider('ec2', 'Amazon EC2');
const gcp = provider('gcp', 'Google');
const local = provider('local', 'nobody');
const providers = [gcp, ec2, local];

describe('detection', () => {
  test('shows the facts that name the cloud', () => {
    const [finding] = checkDetection(fakePatient({ providers, provider: ec2 }));
    assert.deepEqual(finding, {
      check: 'detection',
      verdict: 'pass',
      evidence: 'The firmware names ec2: sys_vendor "Amazon EC2".',
    });
  });
  test('says that the operating system is asked where no cloud is named', () => {
    const [finding] = checkDetection(fakePatient({ providers, provider: local, dmi: {} }));
    assert.match(
      finding!.evidence,
      /^No cloud that cloudsip knows is named by the firmware \(it tells nothing\)/,
    );
  });
  test('warns of a configuration that names another cloud, but not of static and local', () => {
    const verdict = (name: string): string =>
      checkDetection(fakePatient({ providers, configuration: { provider: name } }))[0]!.verdict;
    assert.deepEqual(['gcp', 'ec2', 'static', 'local'].map(verdict), ['warn', 'pass', 'pass', 'pass']);
  });
});

describe('metadata', () => {
  const answer = (status: number, durationMs = 5): MetadataExchange => ({
    origin: 'http://m',
    status,
    durationMs,
  });

  test('tells what answered and how fast', () => {
    const [finding] = checkMetadata(fakePatient({ exchanges: [answer(200), answer(404, 9.4), answer(200)] }));
    assert.deepEqual(finding, {
      check: 'metadata',
      verdict: 'pass',
      evidence: 'http://m answered 3 of 3 requests, the slowest in 9 ms: 200 (2), 404 (1).',
    });
  });
  for (const [name, exchanges] of [
    ['silence', [answer(200), { origin: 'http://m' }]],
    ['refusals only', [answer(403), answer(403)]],
    ['slowness', [answer(200, 1500)]],
    ['throttling', [answer(200), answer(429)]],
  ] as const) {
    test(`warns of ${name}`, () => {
      const [finding] = checkMetadata(fakePatient({ exchanges }));
      assert.equal(finding!.verdict, 'warn');
      assert.ok(finding!.remedy);
    });
  }
  test('parts the error of discovery into what came and what to do', () => {
    const discoveryError = new DiscoveryError(
      'discovery.metadata-timeout',
      'PUT http://169.254.169.254/latest: no answer. Do this. Or that.',
    );
    const [finding] = checkMetadata(fakePatient({ discoveryError }));
    assert.equal(finding!.verdict, 'fail');
    assert.equal(finding!.evidence, 'PUT http://169.254.169.254/latest: no answer.');
    assert.equal(finding!.remedy, 'Do this. Or that.');
  });
  test('is skipped for a provider that asks none', () => {
    assert.deepEqual(judged(checkMetadata(fakePatient({ provider: local }))), ['skip']);
  });
});

describe('the watch on metadata', () => {
  test('sees who answers what and when, until it is disposed of', async () => {
    await using server = await served((path, response) => {
      if (path === '/dead') response.socket?.destroy();
      else response.writeHead(path === '/none' ? 404 : 200, { Date: 'Tue, 15 Nov 1994 08:12:31 GMT' }).end();
    });
    const watch = new MetadataWatch();
    for (const path of ['/one', '/none', '/dead']) await ask(server.url + path);
    watch[Symbol.dispose]();
    await ask(`${server.url}/later`);
    const { exchanges } = watch;
    assert.deepEqual(
      exchanges.map(({ origin, status, date }) => [origin, status, date]),
      [
        [server.url, 200, Date.UTC(1994, 10, 15, 8, 12, 31)],
        [server.url, 404, Date.UTC(1994, 10, 15, 8, 12, 31)],
        [server.url, undefined, undefined],
      ],
    );
    assert.ok(exchanges[0]!.durationMs! > 0);
    assert.ok(Math.abs(exchanges[0]!.receivedAt! - Date.now()) < 60_000);
  });
});

describe('clock', () => {
  const verdictAt = (skewMs: number): string => {
    const exchanges = [
      { origin: 'http://m', date: 1_000_000_000_000, receivedAt: 1_000_000_000_500 + skewMs },
    ];
    return checkClock(fakePatient({ exchanges }))[0]!.verdict;
  };
  test('tells a clock that is right from one that is somewhat or far away, ahead or behind', () => {
    const skews = [0, 4000, -4000, 6000, -6000, 301_000, -301_000];
    assert.deepEqual(skews.map(verdictAt), ['pass', 'pass', 'pass', 'warn', 'warn', 'fail', 'fail']);
  });
  test('believes the quickest of several answers', () => {
    const date = 1_000_000_000_000;
    const exchanges = [7000, 500].map((later) => ({ origin: 'http://m', date, receivedAt: date + later }));
    assert.deepEqual(judged(checkClock(fakePatient({ exchanges }))), ['pass']);
  });
  test('is skipped where nobody tells the time', () => {
    assert.deepEqual(judged(checkClock(fakePatient())), ['skip']);
  });
});

describe('addresses', () => {
  test('pass where every source says the same, with what the cloud could not tell', () => {
    const topology = { ...twoCards(), notes: ['No weather.'] };
    const [finding, ...more] = checkAddressSources(fakePatient({ topology }));
    assert.deepEqual(more, []);
    assert.equal(finding!.verdict, 'pass');
    assert.equal(
      finding!.evidence,
      'ec2 tells 2 addresses, 2 with a public address in front; nobody disagrees. No weather.',
    );
  });
  test('name each address that sources disagree about or do not know', () => {
    const topology = twoCards([
      {
        ...pair[0]!,
        disagreements: [{ provenance: 'api', publicAddress: '203.0.113.9' }, { provenance: 'stun' }],
      },
      { privateAddress: '10.0.1.15', provenance: 'imds', publicUnknown: true },
    ]);
    const findings = checkAddressSources(fakePatient({ topology }));
    assert.deepEqual(judged(findings), ['warn 10.0.0.15', 'warn 10.0.1.15']);
    assert.equal(
      findings[0]!.evidence,
      'imds says 203.0.113.5, api says 203.0.113.9, stun says that there is no public address; the first is used.',
    );
  });
});

describe("the provider's own examination", () => {
  test('is told the listeners as they are bound and advertised', async () => {
    let asked: Examination | undefined;
    const examined = provider('ec2', 'Amazon EC2', {
      examine: async (_context, examination) => {
        asked = examination;
        return [{ check: 'security-group', verdict: 'pass', evidence: 'Open.' }];
      },
    });
    const listeners = [udp('10.0.0.15', '203.0.113.5'), udp('10.0.1.15')];
    const findings = await examineCloud(fakePatient({ provider: examined, listeners }));
    assert.equal(findings[0]!.check, 'security-group');
    assert.deepEqual(asked, {
      topology: twoCards(),
      listeners: [
        { transport: 'udp', address: '10.0.0.15', port: 5060, advertised: '203.0.113.5:5060' },
        { transport: 'udp', address: '10.0.1.15', port: 5060 },
      ],
      rtpPorts: { from: 10_000, to: 20_000 },
    });
  });
  test('is skipped where the provider has none', async () => {
    assert.deepEqual(judged(await examineCloud(fakePatient({ provider: local }))), ['skip']);
  });
});

function served(answer: (path: string, response: ServerResponse) => void): Promise<FakeServer> {
  return listen(createServer((request, response) => answer(request.url ?? '', response)));
}

function ask(url: string): Promise<void> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => response.resume().on('end', resolve));
    request.on('error', () => resolve());
  });
}
