import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSessionDescription } from '../../src/sdp/parse-session-description.ts';
import { SdpError } from '../../src/sdp/sdp-error.ts';
import { connectionOf, directionOf } from '../../src/sdp/session-description.ts';

const head = 'v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n';

describe('reading a session description', () => {
  it('finds addresses, ports, directions and RTCP by section', () => {
    const description = parseSessionDescription(
      `${head}a=recvonly\r\nm=audio 49170/2 RTP/AVP 0 8\r\nc=IN IP6 2001:db8::5\r\na=rtcp:53020 IN IP4 10.0.0.6\r\na=rtcp-mux\r\nm=video 0 RTP/AVP 31\r\na=sendonly\r\n`,
    );
    const [audio, video] = description.media;
    assert.equal(description.eol, '\r\n');
    assert.equal(description.origin.address, '10.0.0.5');
    assert.ok(audio && video);
    assert.deepEqual(
      [audio.media, audio.port, audio.portCount, audio.proto],
      ['audio', 49_170, 2, 'RTP/AVP'],
    );
    assert.deepEqual(
      audio.rtcpMux.map(({ start, end }) => description.text.slice(start, end)),
      ['a=rtcp-mux'],
    );
    assert.deepEqual([audio.rtcpMuxOnly, video.rtcpMux], [[], []]);
    assert.equal(description.text.slice(audio.portStart, audio.portEnd), '49170/2');
    assert.equal(audio.rtcp?.port, 53_020);
    assert.equal(audio.rtcp.address?.address, '10.0.0.6');
    assert.equal(connectionOf(description, audio)?.address, '2001:db8::5');
    assert.equal(connectionOf(description, video)?.address, '10.0.0.5');
    assert.deepEqual(
      [directionOf(description, audio), directionOf(description, video)],
      ['recvonly', 'sendonly'],
    );
  });

  it('reads what is far from the RFC but harmless', () => {
    const description = parseSessionDescription(
      `${head}\r\nrubbish\r\n=\r\nm=audio 4000 RTP/AVP\r\na=\r\na\r\n`,
    );
    assert.equal(description.media.length, 1);
  });

  const refused: [name: string, text: string, code: string][] = [
    ['nothing', '', 'sdp.version'],
    ['another version', head.replace('v=0', 'v=1'), 'sdp.version'],
    ['no version', head.slice(5), 'sdp.version'],
    ['one line', 'v=0', 'sdp.version'],
    ['no origin', 'v=0\r\ns=-\r\n', 'sdp.origin'],
    ['an origin without an address', head.replace(' IN IP4 10.0.0.5', ''), 'sdp.origin'],
    ['an origin of another network', head.replace('o=- 1 1 IN', 'o=- 1 1 ATM'), 'sdp.origin'],
    ['a connection without an address', head.replace('c=IN IP4 10.0.0.5', 'c=IN IP4'), 'sdp.connection'],
    ['a connection of another network', head.replace('c=IN IP4', 'c=ATM NSAP'), 'sdp.connection'],
    [
      'an RTCP address of another network',
      `${head}m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN ATM 10.0.0.5\r\n`,
      'sdp.rtcp',
    ],
    ['a stream without a port', `${head}m=audio RTP/AVP 0\r\n`, 'sdp.media'],
    ['a port that is none', `${head}m=audio 65536 RTP/AVP 0\r\n`, 'sdp.media'],
    ['a negative port', `${head}m=audio -1 RTP/AVP 0\r\n`, 'sdp.media'],
    ['a stream without a protocol', `${head}m=audio 4000\r\n`, 'sdp.media'],
    ['an RTCP port that is none', `${head}m=audio 4000 RTP/AVP 0\r\na=rtcp:99999\r\n`, 'sdp.rtcp'],
    ['RTCP without a port', `${head}m=audio 4000 RTP/AVP 0\r\na=rtcp\r\n`, 'sdp.rtcp'],
    ['65 streams', head + 'm=audio 4000 RTP/AVP 0\r\n'.repeat(65), 'sdp.too-many-media'],
    ['a giant', head + 'a=x\r\n'.repeat(20_000), 'sdp.too-long'],
  ];
  for (const [name, text, code] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parseSessionDescription(text),
        (error) => error instanceof SdpError && error.code === code && error.message.length < 250,
      );
    });
  }

  it('refuses a carriage return inside a line, and forgives one that lost its line feed at the end', () => {
    for (const hidden of ['a=x\rc=IN IP4 10.0.0.7\r\n', 'a=x\r\r\n', 'm=audio 4000 RTP/AVP 0\ra=x']) {
      assert.throws(
        () => parseSessionDescription(head + hidden),
        (error) => error instanceof SdpError && error.code === 'sdp.line-ending',
      );
    }
    const [audio] = parseSessionDescription(`${head}m=audio 4000 RTP/AVP 0\r\na=rtcp:4003\r`).media;
    assert.equal(audio?.rtcp?.port, 4003);
  });

  it('shows no control characters of the sender in its error', () => {
    assert.throws(
      () => parseSessionDescription(`${head}m=au\x1b[31mdio x\r\n`),
      (error: Error) => !/[\x00-\x1f]/.test(error.message),
    );
  });

  it('takes 64 streams, and 64 KB of one line, in no time', () => {
    assert.equal(parseSessionDescription(head + 'm=audio 4000 RTP/AVP 0\r\n'.repeat(64)).media.length, 64);
    const hostile = ['c=IN IP4 x', 'o=- IN IP4 ', 'm=audio 1 ', 'a=rtcp:1 IN IP4 '].map(
      (start) => `${head}${start}${' '.repeat(65_000)}y z`,
    );
    const started = performance.now();
    for (const text of hostile) {
      try {
        parseSessionDescription(text);
      } catch (error) {
        assert.ok(error instanceof SdpError);
      }
    }
    assert.ok(performance.now() - started < 1000);
  });
});
