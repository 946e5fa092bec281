import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providers } from '../../providers/index.ts';
import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { DiscoveryContext } from '../../src/discovery/provider.ts';
import type { Topology } from '../../src/discovery/topology.ts';
import { sameTopology } from '../../src/discovery/topology-diff.ts';
import type { Clock } from '../../src/net/clock.ts';
import { type FakeCloud, startFakeCloud } from '../support/fake-cloud.ts';
import { type CloudModel, cloudModels } from '../support/fake-clouds.ts';
import type { Fault, SeenRequest } from '../support/fake-server.ts';
import { ImpatientClock } from '../support/impatient-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

const contextOf = (cloud: FakeCloud, clock: Clock = new ImpatientClock(999)): DiscoveryContext => ({
  facts: { dmi: {}, interfaces: [] },
  // The waits of the retries, but neither the connect time-out (1 s) nor the call's (5 s).
  clock,
  log: quietLog(),
  env: { CLOUDSIP_METADATA_ENDPOINT: cloud.url },
  configuration: undefined,
});
const { signal } = new AbortController();

type Outcome = { readonly topology?: Topology; readonly error?: DiscoveryError };
type Judge = (request: SeenRequest, count: number) => Fault | undefined;

const always =
  (fault: Fault): Judge =>
  () =>
    fault;
const once =
  (fault: Fault): Judge =>
  (_request, count) =>
    count === 1 ? fault : undefined;
const reads =
  (fault: Fault): Judge =>
  ({ method }) =>
    method === 'GET' ? fault : undefined;

/** What has to come of each trouble, whichever cloud has it: a code, or the topology of an untroubled day. */
const TROUBLES: readonly [what: string, judge: Judge, code: string | undefined][] = [
  ['refuses every question for want of a token', reads({ status: 401 }), 'discovery.metadata-unauthorized'],
  ['is switched off', always({ status: 403 }), 'discovery.metadata-forbidden'],
  [
    'throttles for ever',
    always({ status: 429, headers: { 'Retry-After': '60' } }),
    'discovery.metadata-throttled',
  ],
  ['throttles once', once({ status: 429, headers: { 'Retry-After': '0' } }), undefined],
  ['is out of order', always({ status: 503 }), 'discovery.metadata-throttled'],
  ['is out of order once', once({ status: 503 }), undefined],
  ['fails inside', always({ status: 500 }), 'discovery.metadata-failed'],
  ['is cut off in the middle each time', always('cut'), 'discovery.metadata-unreachable'],
  ['is cut off in the middle once', once('cut'), undefined],
  ['closes the connection', always('reset'), 'discovery.metadata-unreachable'],
  [
    'is a page of some hotel',
    reads({ status: 200, body: '<html>Please log in</html>' }),
    'discovery.metadata-garbled',
  ],
  [
    'answers with a list of lists',
    reads({ status: 200, body: '[[[[[[]]]]]]' }),
    'discovery.metadata-garbled',
  ],
  ['answers with nulls', reads({ status: 200, body: 'null' }), 'discovery.metadata-garbled'],
  ['answers with nothing', reads({ status: 200, body: '' }), 'discovery.metadata-garbled'],
  [
    'answers with a megabyte',
    reads({ status: 200, body: '[1,'.repeat(350_000) }),
    'discovery.metadata-too-large',
  ],
  ['knows no such document', reads({ status: 404 }), 'discovery.metadata-garbled'],
  [
    'redirects',
    reads({ status: 302, headers: { Location: 'http://127.0.0.1:1/' } }),
    'discovery.metadata-failed',
  ],
];

for (const [name, model] of Object.entries(cloudModels) as [string, CloudModel][]) {
  const provider = providers.find((each) => each.name === name)!;
  const run = async (judge: Judge): Promise<Outcome> => {
    await using cloud = await startFakeCloud(model.documents, model.gate?.().gate);
    cloud.fault = judge;
    try {
      return { topology: await provider.discover(contextOf(cloud), signal) };
    } catch (error) {
      return { error: error as DiscoveryError };
    }
  };

  describe(`${name}: a metadata service that`, () => {
    for (const [what, judge, code] of TROUBLES) {
      test(what, async () => {
        const { topology, error } = await run(judge);
        if (code === undefined) {
          const untroubled = (await run(() => undefined)).topology;
          assert.ok(topology && untroubled, String(error));
          assert.ok(sameTopology(topology, untroubled));
          return;
        }
        assert.equal(error?.name, 'DiscoveryError', String(error?.stack));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, /^(GET|PUT) http:\/\/127\.0\.0\.1:\d+\/\S*( \S+)?: expected .*, came /);
        assert.ok(error.message.length < 500, error.message);
      });
    }

    for (const [what, fault] of [
      ['never answers', 'hang'],
      ['begins to answer and never ends', 'slow'],
    ] as const)
      test(what, async () => {
        await using cloud = await startFakeCloud(model.documents, model.gate?.().gate);
        const clock = new ManualClock();
        const asked = Promise.withResolvers<void>();
        cloud.fault = () => {
          asked.resolve();
          return fault;
        };
        const discovery = provider.discover(contextOf(cloud, clock), signal);
        await asked.promise;
        clock.advance(5000);
        await assert.rejects(discovery, { code: 'discovery.metadata-timeout' });
        assert.equal(clock.pending, 0);
      });

    test('is given up when cloudsip stops', async () => {
      await using cloud = await startFakeCloud(model.documents, model.gate?.().gate);
      const abort = new AbortController();
      cloud.fault = () => {
        abort.abort();
        return 'hang';
      };
      await assert.rejects(provider.discover(contextOf(cloud), abort.signal), { code: 'discovery.aborted' });
    });

    if (model.gate) {
      test('forgets its tokens in between, where it has some', async () => {
        const gate = model.gate!();
        await using cloud = await startFakeCloud(model.documents, gate.gate);
        let forgotten = false;
        cloud.fault = ({ path }) => {
          if (path === model.main && !forgotten) {
            forgotten = true;
            gate.expire();
          }
          return undefined;
        };
        const topology = await provider.discover(contextOf(cloud), signal);
        assert.ok(forgotten);
        assert.ok(topology.interfaces.length > 0);
        assert.ok(cloud.requests.filter(({ method }) => method === 'PUT').length <= 2);
      });
    }
  });
}

test('every cloud is troubled here that has no test of its own', () => {
  const others = ['ec2', 'gcp', 'azure', 'static', 'local'];
  assert.deepEqual(
    providers.map(({ name }) => name).filter((name) => !others.includes(name)),
    Object.keys(cloudModels),
  );
});

test('each asks at the endpoint of its cloud where no other is set', async () => {
  const endpoints: Readonly<Record<string, string>> = {
    alibaba: 'http://100.100.100.200/',
    tencent: 'http://169.254.0.23/',
    scaleway: 'http://169.254.42.42/',
    equinixmetal: 'http://metadata.packet.net/',
  };
  const abort = new AbortController();
  abort.abort();
  for (const name of Object.keys(cloudModels)) {
    const context = { ...contextOf({ url: '' } as FakeCloud), env: {} };
    const expected = endpoints[name] ?? 'http://169.254.169.254/';
    await assert.rejects(
      providers.find((each) => each.name === name)!.discover(context, abort.signal),
      (error: DiscoveryError) => error.code === 'discovery.aborted' && error.message.includes(` ${expected}`),
      name,
    );
  }
});
