import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asRtp } from '../support/capture-rtp.ts';
import { needsRoot } from '../support/privileged.ts';
import { call, hangUp, holdAndResume, Office, publicAddress, talk } from './office.ts';

describe('a power cut in the middle of calls', needsRoot, () => {
  test('running calls end and find their media again, and registered telephones are called', async () => {
    await using office = await Office.open();
    await Promise.all(['alice', 'bob', 'nina', 'heidi'].map((name) => office.account(name)));
    const [alice, bob, nina, heidi] = await Promise.all([
      office.phone('alice-host', { user: 'alice', toneHz: 440 }),
      office.phone('bob-host', { user: 'bob', toneHz: 880 }),
      office.neighbour('neighbour', { user: 'nina', toneHz: 660 }),
      office.phone('home-phone', { user: 'heidi', toneHz: 1320 }),
    ]);
    await Promise.all([call(alice, bob), call(heidi, nina)]);
    await using wire = await office.lab.capture('alice-host', 'eth0', `udp and src host ${publicAddress}`);
    await office.restart();
    const before = wire.packets.length;

    // A re-INVITE anchors the media anew, whoever sends it.
    await Promise.all([holdAndResume(alice, bob), holdAndResume(nina, heidi)]);
    await Promise.all([talk(alice, bob), talk(nina, heidi)]);
    assert.ok(wire.packets.slice(before).some(asRtp), 'media comes from the public address again');
    await Promise.all([hangUp(bob, alice), hangUp(heidi, nina)]);
    await office.mediaPortsReturned();

    // Nobody has registered since: the bindings were on the disk.
    await Promise.all([call(bob, alice), call(nina, heidi)]);
    await office.restart();
    // A BYE finds its way by what the signed Record-Route says.
    await Promise.all([hangUp(bob, alice), hangUp(heidi, nina)]);
    await Promise.all([call(alice, bob), call(heidi, nina)]);
    await Promise.all([hangUp(alice, bob), hangUp(nina, heidi)]);
    await office.mediaPortsReturned();
  });
});
