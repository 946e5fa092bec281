import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { ControlSocket } from '../../src/agent/control-socket.ts';
import { Drain } from '../../src/agent/drain.ts';
import { runCallsCommand } from '../../src/cli/calls-command.ts';
import { openControlPath } from '../../src/cli/control-path.ts';
import type { MediaRelay } from '../../src/media/media-contract.ts';
import { callLines } from '../../src/proxy/call-lines.ts';
import { anchor, kinds, Phone, portsOf, relayAddress, relayFor, rtp, sdp } from '../media/support.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietLog } from '../support/quiet-log.ts';

async function stateDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cloudsip-calls-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** An agent's control socket over this relay. */
async function controlled(t: TestContext, relay: MediaRelay | undefined, calls: number): Promise<string> {
  const directory = await stateDirectory(t);
  const work = () => ({ calls, transactions: 0 });
  const drain = new Drain({
    clock: new ManualClock(),
    log: quietLog(),
    timeoutMs: () => 1000,
    drainOn: () => [],
    acknowledge: () => false,
    work,
  });
  const count = { calls, keys: () => [], has: () => false };
  const lines = () => callLines(relay, count, Date.now());
  const agent = { drain, calls: lines, record: () => false };
  const control = await ControlSocket.open(directory, agent, new ManualClock());
  t.after(() => {
    control.close();
    drain.close();
  });
  return directory;
}

async function run(stateDir: string, json: boolean): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const printed = Promise.all([text(stdout), text(stderr)]);
  const code = await runCallsCommand({ stdout, stderr, stateDir, json });
  stdout.end();
  stderr.end();
  const [out, err] = await printed;
  return { code, out, err };
}

describe('cloudsip calls', () => {
  for (const forwarder of kinds) {
    test(`shows both sides of a call and how its media fares, by ${forwarder}`, async (t) => {
      const { relay } = await relayFor(t, { forwarder });
      const session = relay.createSession('a\u001b[2Jcall', { onSilence: () => {} });
      const [caller, callee] = [await Phone.open(t), await Phone.open(t)];
      const described = (port: number): string =>
        sdp('127.0.0.1', { port, attributes: ['rtpmap:0 PCMU/8000', 'rtpmap:101 telephone-event/8000'] });
      const offer = anchor(session, 'offer', 'caller', described(caller.port), { branch: '0' });
      const answer = anchor(session, 'answer', 'callee', described(callee.port), { branch: '0' });
      session.settle('0');
      await relay.flush();
      for (let n = 0; n < 3; n++) {
        await caller.send(rtp(`${n}`), portsOf(answer)[0]!);
        await callee.next();
      }
      const directory = await controlled(t, relay, 1);
      const { code, out } = await run(directory, true);
      assert.equal(code, 0);
      const told = JSON.parse(out);
      assert.deepEqual([told.calls, told.forwarder, told.media.length], [1, forwarder, 1]);
      const [{ callId, streams }] = told.media;
      assert.equal(callId, 'a\u001b[2Jcall');
      const { silentMs, jitterMs, mos, bytes, ...first } = streams[0];
      assert.ok(silentMs >= 0 && silentMs < 60_000 && jitterMs >= 0 && mos > 1 && bytes === 39);
      assert.deepEqual(first, {
        party: 'caller',
        stream: 0,
        packets: 3,
        inKernel: 0,
        strangers: 0,
        lost: 0,
        reordered: 0,
        ssrcChanges: 0,
        bound: `${relayAddress}:${portsOf(answer)[0]}`,
        described: `127.0.0.1:${caller.port}`,
        remote: `127.0.0.1:${caller.port}`,
        codec: 'PCMU',
      });
      const { party, packets, codec, silentMs: never, bound } = streams[1];
      assert.deepEqual([party, packets, codec, never], ['callee', 0, null, null]);
      assert.equal(bound, `${relayAddress}:${portsOf(offer)[0]}`);

      const { out: table } = await run(directory, false);
      const [head, , titles, one, other] = table.split('\n');
      assert.equal(head, `1 call, media by ${forwarder}`);
      assert.match(titles!, /^ {2}call +side +from +here +codec +packets +in kernel +lost +jitter +MOS$/);
      assert.match(
        one!,
        /^ {2}a\?\[2Jcall +caller +127\.0\.0\.1:\d+ +127\.[\d.]+:\d+ +PCMU +3 +0 +0 +[\d.]+ ms +\d/,
      );
      assert.match(other!, /^ +callee +127\.0\.0\.1:\d+ +127\.[\d.]+:\d+ +- +0 +0 +- +- +-$/);
    });
  }

  test('tells thousands of calls, whole', async (t) => {
    const { relay } = await relayFor(t, { forwarder: 'koffi' });
    for (let n = 0; n < 1000; n++) {
      const session = relay.createSession(`call ${n}`, { onSilence: () => {} });
      anchor(session, 'offer', 'caller', sdp('127.0.0.1', 9000), { branch: '0' });
    }
    const { out } = await run(await controlled(t, relay, 1000), true);
    const { media } = JSON.parse(out);
    assert.deepEqual(
      media.map(({ callId }: { callId: string }) => callId),
      Array.from({ length: 1000 }, (_, n) => `call ${n}`),
    );
  });

  test('counts calls whose media is not relayed', async (t) => {
    const directory = await controlled(t, undefined, 2);
    assert.equal((await run(directory, false)).out, '2 calls, media is not relayed\n');
    assert.deepEqual(JSON.parse((await run(directory, true)).out), { calls: 2, forwarder: null, media: [] });
  });

  test('finds no agent', async (t) => {
    const { code, err } = await run(await stateDirectory(t), false);
    assert.equal(code, 1);
    assert.match(err, /^cloudsip: expected a running agent with the state directory \S+ and found none/);
  });

  test('takes half an answer for none', async (t) => {
    const directory = await stateDirectory(t);
    using place = openControlPath(directory);
    const server = createServer((socket) => socket.end('{"calls":1,"forwarder":"koffi"}\n'));
    await new Promise<void>((resolve) => server.listen(place.path, resolve));
    t.after(() => server.close());
    const { code, out, err } = await run(directory, true);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /did not tell all of its calls/);
  });
});
