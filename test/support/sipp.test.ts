import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildLab } from '../lab/build-lab.ts';
import { cloud } from '../lab/cloud.ts';
import type { Lab } from '../lab/lab.ts';
import { asRtp, muLawSamples } from './capture-rtp.ts';
import { needsRoot } from './privileged.ts';
import { runSipp, SippRun } from './sipp.ts';
import { parseSippStatistics } from './sipp-statistics.ts';
import { strongestTone } from './tone.ts';

describe('sipp between two hosts', needsRoot, () => {
  let lab: Lab;
  before(async () => {
    lab = await buildLab(cloud);
  });
  after(() => lab.close());

  test('calls, talks on a port for each call, hangs up, and both sides count the same', async () => {
    const [alice, bob] = [lab.host('alice-host'), lab.host('bob-host')];
    await using callee = await SippRun.start(bob, { scenario: 'uas', calls: 5, talkMs: 600, toneHz: 880 });
    await using capture = await lab.capture('alice-host', 'eth0', 'udp dst portrange 20000-29999');
    const result = await runSipp(alice, {
      scenario: 'uac',
      target: bob.address,
      callee: 'bob',
      users: [{ user: 'alice' }],
      calls: 5,
      callsPerSecond: 50,
      talkMs: 600,
    });
    assert.deepEqual([result.successful, result.failed, result.exitCode, result.errors], [5, 0, 0, '']);
    assert.ok(result.responseTimeMs < 500);
    const packets = await capture.stop();
    const heard = packets.flatMap((packet) => {
      const rtp = packet.destination.address === alice.address ? asRtp(packet) : undefined;
      return rtp && packet.destination.port === 20_000 ? [rtp] : [];
    });
    assert.equal(strongestTone(muLawSamples(heard), 8000)?.frequencyHz, 880);
    const { successful, rtpReceived } = await callee.stop();
    assert.equal(successful, 5);
    assert.deepEqual([...rtpReceived.keys()].sort(), [20_000, 20_004, 20_008, 20_012, 20_016]);
    assert.ok(
      [...rtpReceived.values()].every((count) => count === 30),
      String([...rtpReceived]),
    );
  });

  test('a call that nobody answers is counted as failed, with the reason', async () => {
    await using silent = await lab.host('bob-host').openUdp(undefined, 5080);
    const result = await runSipp(lab.host('alice-host'), {
      scenario: 'uac',
      target: `${silent.address}:5080`,
      callee: 'bob',
      users: [{ user: 'alice' }],
      args: ['-max_retrans', '1'],
    });
    assert.deepEqual([result.successful, result.failed, result.exitCode], [0, 1, 1]);
    assert.deepEqual(result.failures, { FailedMaxUDPRetrans: 1 });
    assert.match(result.errors, /Aborting call on UDP retransmission timeout/);
  });

  test('a run that does not end is killed and rejects', async () => {
    await using callee = await SippRun.start(lab.host('bob-host'), { scenario: 'uas', timeoutMs: 50 });
    await assert.rejects(callee.finished, { code: 'ERR_TEST_PROGRAM' });
  });

  test('who has the ports of a run after it hears what is sent there', async () => {
    const [alice, bob] = [lab.host('alice-host'), lab.host('bob-host')];
    await using next = await bob.openUdp(undefined, 20_000);
    await using sender = await alice.openUdp();
    const run = await SippRun.start(bob, { scenario: 'uas' });
    await run[Symbol.asyncDispose]();
    await sender.send('first', 20_000, bob.address);
    assert.equal((await next.receive()).bytes.toString(), 'first');
  });

  test('passwords do not stand on the command line', async () => {
    await using silent = await lab.host('bob-host').openUdp(undefined, 5080);
    await using run = await SippRun.start(lab.host('alice-host'), {
      scenario: 'register',
      target: `${silent.address}:5080`,
      users: [{ user: 'alice', password: 'opensesame' }],
    });
    await silent.receive();
    const { stdout } = await lab.host('alice-host').run('cat', [`/proc/${run.program.pid}/cmdline`]);
    assert.match(stdout, /register/);
    assert.doesNotMatch(stdout, /opensesame/);
  });
});

test('the statistics file is read by its last line', () => {
  const head =
    'StartTime;TotalCallCreated;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);FailedCannotSendMessage(C);ResponseTime1(C);';
  const rows = ['x;1;1;1;0;0;00:00:00:000000;', 'x;9;2;7;2;2;00:01:02:345678;'];
  const statistics = parseSippStatistics([head, ...rows, ''].join('\n'));
  assert.equal(statistics?.created, 9);
  assert.equal(statistics.successful, 7);
  assert.equal(statistics.failed, 2);
  assert.deepEqual(statistics.failures, { FailedCannotSendMessage: 2 });
  assert.equal(statistics.responseTimeMs, 62_345.678);
  assert.equal(parseSippStatistics(`${head}\n`), undefined);
});
