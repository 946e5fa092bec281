import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRtcp, latchBit, mayComeAside, mayLearn, reaimed } from '../../src/media/latch.ts';

const { latched, learning, aimed, muted, rtp, moving, checked } = latchBit;

describe('learning a source', () => {
  it('is open in the window, and while nothing came', () => {
    assert.equal(mayLearn(rtp, 0x80), true);
    assert.equal(mayLearn(rtp | learning, 0x80), true);
    assert.equal(mayLearn(rtp | learning | latched, 0x80), true);
    assert.equal(mayLearn(rtp | latched | aimed, 0x80), false);
  });

  for (const [first, expected, what] of [
    [0x80, true, 'RTP'],
    [0xbf, true, 'RTP with padding, extension and sources'],
    [20, true, 'DTLS'],
    [63, true, 'DTLS'],
    [0, false, 'STUN'],
    [19, false, 'ZRTP'],
    [64, false, 'TURN'],
    [0xc0, false, 'version 3'],
    [0x53, false, 'text'],
  ] as const) {
    it(`${expected ? 'heeds' : 'ignores'} ${what} (${first})`, () => {
      assert.equal(mayLearn(rtp | learning, first), expected);
    });
  }

  it('takes anything where no RTP is expected, such as T.38', () => {
    assert.equal(mayLearn(learning, 0), true);
    assert.equal(mayLearn(latched, 0), false);
  });

  it('begins anew with another address, but a hold goes on', () => {
    assert.equal(reaimed(latched | muted | rtp, true, true), muted | rtp | learning | aimed);
    assert.equal(reaimed(latched | aimed | rtp, false, false), learning);
  });

  it('hears another port only while an offer is open, of a peer that was heard and does no ICE', () => {
    assert.equal(mayComeAside(rtp | latched | aimed | moving, 0x80), true);
    assert.equal(mayComeAside(rtp | latched | aimed, 0x80), false);
    assert.equal(mayComeAside(rtp | aimed | moving, 0x80), false);
    assert.equal(mayComeAside(rtp | latched | aimed | moving | checked, 0x80), false);
    assert.equal(mayComeAside(rtp | latched | aimed | moving, 0), false);
  });

  it('tells RTCP from RTP on one port', () => {
    assert.deepEqual([191, 192, 200, 223, 224].map(isRtcp), [false, true, true, true, false]);
  });
});
