import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TelephoneEvents } from '../../../src/media/dtmf/telephone-events.ts';
import { parseRtp } from '../../../src/media/rtp-packet.ts';
import { eventPayload, rtpPacket } from '../recording/rtp-source.ts';

class Listener {
  readonly told: string[] = [];
  readonly events = new TelephoneEvents((digit, ms) => this.told.push(`${digit} ${ms}`));
  #sequence = 0;
  now = 0;

  packet(event: number, stamp: number, duration: number, ended = false, ssrc = 9): void {
    const bytes = rtpPacket(101, this.#sequence++, stamp, ssrc, eventPayload(event, duration, ended));
    this.events.add(parseRtp(bytes)!, 8000, (this.now += 20));
  }

  /** A key as a telephone sends it: every 20 ms, the end three times. `keep` says which packets arrive. */
  key(event: number, stamp: number, ms: number, keep: (n: number) => boolean = () => true): void {
    const count = ms / 20;
    for (let n = 1; n <= count + 2; n++)
      if (keep(n)) this.packet(event, stamp, Math.min(n, count) * 160, n >= count);
  }
}

describe('telephone events (RFC 4733)', () => {
  test('each key once, with how long it was held', () => {
    const listener = new Listener();
    listener.key(1, 0, 100);
    listener.key(1, 2000, 200);
    listener.key(11, 8000, 60);
    listener.key(16, 16_000, 40);
    assert.deepEqual(listener.told, ['1 100', '1 200', '# 60', 'flash 40']);
  });

  test('all but one packet of each lost', () => {
    for (let kept = 1; kept <= 7; kept++) {
      const listener = new Listener();
      listener.key(5, 0, 100, (n) => n === kept);
      listener.key(6, 4000, 100, (n) => n === kept);
      listener.events.tick(listener.now + 1000);
      const ms = Math.min(kept, 5) * 20;
      assert.deepEqual(listener.told, [`5 ${ms}`, `6 ${ms}`], `packet ${kept}`);
    }
  });

  test('an end that was lost is told of a moment later, and its late copies say nothing', () => {
    const listener = new Listener();
    listener.packet(3, 0, 160);
    listener.packet(3, 0, 320);
    listener.events.tick(listener.now + 400);
    assert.deepEqual(listener.told, []);
    listener.events.tick(listener.now + 600);
    assert.deepEqual(listener.told, ['3 40']);
    listener.packet(3, 0, 480, true);
    assert.deepEqual(listener.told, ['3 40']);
  });

  test('packets of a key before, and out of order', () => {
    const listener = new Listener();
    listener.packet(1, 0, 320);
    listener.packet(1, 0, 160);
    listener.packet(1, 0, 480, true);
    listener.packet(2, 1600, 160);
    listener.packet(1, 0, 480, true);
    listener.packet(2, 1600, 320, true);
    listener.packet(1, 0, 480, true);
    listener.packet(2, 1600, 320, true);
    assert.deepEqual(listener.told, ['1 60', '2 40']);
  });

  test('a key held so long that it comes in segments is one key', () => {
    const listener = new Listener();
    const last = 0xffff;
    for (let at = 160; at < last; at += 160) listener.packet(7, 1000, at);
    listener.packet(7, 1000, last);
    for (let at = 160; at <= 8000; at += 160) listener.packet(7, 1000 + last, at);
    listener.packet(7, 1000 + last, 8000, true);
    assert.deepEqual(listener.told, [`7 ${Math.round((last + 8000) / 8)}`]);
  });

  test('another source with the same time stamp is another key', () => {
    const listener = new Listener();
    listener.packet(4, 0, 160, true, 1);
    listener.packet(4, 0, 160, true, 2);
    assert.deepEqual(listener.told, ['4 20', '4 20']);
  });

  test('time stamps that wrap', () => {
    const listener = new Listener();
    listener.key(8, 0xffff_ff00, 100);
    listener.key(9, 2000, 100);
    assert.deepEqual(listener.told, ['8 100', '9 100']);
  });

  test('what is no key, or cut short, is nothing', () => {
    const listener = new Listener();
    listener.packet(64, 0, 160, true);
    listener.events.add(parseRtp(rtpPacket(101, 1, 0, 9, Uint8Array.of(1, 0x80)))!, 8000, 0);
    listener.events.tick(10_000);
    assert.deepEqual(listener.told, []);
  });
});

test('a description that says a rate of 0 makes no endless key', () => {
  const told: number[] = [];
  const events = new TelephoneEvents((_digit, durationMs) => told.push(durationMs));
  events.add(parseRtp(rtpPacket(101, 1, 0, 9, eventPayload(5, 800, true)))!, 0, 20);
  assert.deepEqual(told, [100]);
});
