import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BaresipPhone } from '../support/baresip.ts';
import { startCloudsip } from '../support/cloudsip.ts';
import { needsRoot } from '../support/privileged.ts';
import { buildLab } from './build-lab.ts';
import { cloud } from './cloud.ts';

describe('a fresh virtual machine with nothing configured', needsRoot, () => {
  test('finds its public addresses and carries a call between the internet and a home', async () => {
    await using lab = await buildLab(cloud);
    await using _metadata = await lab.startMetadata();
    await using cloudsip = await startCloudsip(lab.host('vm'));
    const listening = cloudsip.log.filter((record) => record.msg === 'listening');
    const udp = listening.filter((record) => record['transport'] === 'udp');
    assert.deepEqual(
      udp.map((record) => `${record['bound']} as ${record['advertised']}`),
      [
        '10.0.0.15:5060 as 203.0.113.5:5060',
        '10.0.0.16:5060 as 203.0.113.6:5060',
        '10.0.1.15:5060 as 203.0.113.7:5060',
      ],
    );
    const accounts = await cloudsip.accounts();
    const [first, second] = accounts;
    assert.ok(
      first && second,
      `two accounts were to be made at the first start, there are ${accounts.length}`,
    );
    const domain = '203.0.113.5';
    await using alice = await BaresipPhone.start(lab.host('alice-host'), {
      user: first.name,
      password: first.password,
      domain,
      toneHz: 440,
    });
    await using bob = await BaresipPhone.start(lab.host('home-phone'), {
      user: second.name,
      password: second.password,
      domain,
      toneHz: 880,
    });
    await Promise.all([alice.registered(), bob.registered()]);
    await using capture = await lab.capture('alice-host', 'eth0', 'udp');
    await alice.dial(bob.uri);
    await bob.ringing();
    await bob.answer();
    await Promise.all([alice.established(), bob.established()]);
    await Promise.all([alice.hears(880), bob.hears(440)]);
    await bob.hangup();
    await Promise.all([alice.closed(), bob.closed()]);

    const packets = await capture.stop();
    const peers = new Set(
      packets.flatMap(({ source, destination }) => [source.address, destination.address]),
    );
    assert.deepEqual([...peers].sort(), ['198.51.100.10', '203.0.113.5']);
    // What the phone at home says of itself is its own affair; the cloud's inner addresses are ours to hide.
    const leak = packets.find(({ payload }) => payload.includes('10.0.'));
    assert.equal(leak?.payload.toString(), undefined, 'an inner address of the cloud reached the internet');
    assert.deepEqual(await cloudsip.stop(), { exitCode: 0, signal: null });
  });
});
