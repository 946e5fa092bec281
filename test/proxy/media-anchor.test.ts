import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Identity } from '../../src/identity/identity.ts';
import type { Listener } from '../../src/net/listener.ts';
import type { HopSide } from '../../src/proxy/hop-side.ts';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import type { MediaExchange } from '../../src/proxy/media-exchange.ts';
import { type Message, parseMessage } from '../../src/sip/message/message.ts';
import { FakeMediaRelay } from '../support/fake-media-relay.ts';
import { type RequestText, requestText, responseText } from '../support/sip-text.ts';

const listener: Listener = {
  transport: 'udp',
  bound: { address: '10.0.0.15', port: 5060 },
  advertised: { address: '203.0.113.5', port: 5060 },
};
const carol: HopSide = { listener, peerAddress: '198.51.100.10' };
const bob: HopSide = { listener, peerAddress: '10.0.0.77' };
const sdp =
  'v=0\r\no=- 1 1 IN IP4 10.0.0.77\r\ns=-\r\nc=IN IP4 10.0.0.77\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

let relay: FakeMediaRelay;
let anchor: MediaAnchor;
beforeEach(() => {
  relay = new FakeMediaRelay();
  const identity = new Identity({ listeners: [listener], localNetworks: ['10.0.0.0/16'] });
  anchor = new MediaAnchor(relay, identity);
});

const request = (options: RequestText = {}): Message => parseMessage(requestText({ body: sdp, ...options }))!;
/** A request inside the dialog with a callee's tag, sent by the caller. */
const later = (method: string, tag: string, body = sdp): Message =>
  request({ method, to: `<sip:bob@example.com>;tag=${tag}`, body });
/** The same, sent by the callee. */
const laterByCallee = (method: string, tag: string, body = sdp): Message =>
  request({
    method,
    from: `<sip:bob@example.com>;tag=${tag}`,
    to: '<sip:carol@elsewhere.example>;tag=caller',
    body,
  });
const response = (to: Message, status: number, toTag: string, body = sdp): Message =>
  parseMessage(responseText(to.text, { status, toTag, body }))!;

/** An INVITE whose branches `0` and `1` ring with the tags `a` and `b`. */
function fork(body = sdp): { invite: Message; exchange: MediaExchange } {
  const invite = request({ body });
  const exchange = anchor.exchange(invite)!;
  exchange.requestBody('0', carol, bob);
  exchange.requestBody('1', carol, bob);
  exchange.responseBody(response(invite, 180, 'a', ''), '0', bob, carol);
  exchange.responseBody(response(invite, 180, 'b', ''), '1', bob, carol);
  return { invite, exchange };
}

/** A call that stands, by branch `1` and the tag `b`. */
function standing(): { invite: Message; exchange: MediaExchange } {
  const both = fork();
  both.exchange.responseBody(response(both.invite, 200, 'b'), '1', bob, carol);
  relay.take();
  return both;
}

const failure = { name: 'MediaError', code: 'media.branch-gone' };

describe('the first offer and its answers', () => {
  test('go to the branches of the fork, and the one that answers wins', () => {
    const { invite, exchange } = fork();
    assert.deepEqual(relay.take(), ['offer caller 0', 'offer caller 1']);
    const body = exchange.responseBody(response(invite, 200, 'b'), '1', bob, carol);
    assert.equal(body, 'anchored 10.0.0.15 203.0.113.5', 'each side reads the address that is right for it');
    assert.deepEqual(relay.take(), ['answer callee 1', 'settle 1']);
    exchange.branchFailed('0');
    assert.deepEqual(relay.take(), []);
  });

  test('a failed branch gives its ports back, a failed call all of them', () => {
    const { exchange } = fork();
    relay.take();
    exchange.branchFailed('0');
    assert.deepEqual(relay.take(), ['drop 0']);
    exchange.branchFailed('1');
    exchange.failed();
    assert.deepEqual(relay.take(), ['drop 1', 'close']);
    assert.equal(anchor.calls, 0);
  });

  test('an offer in the 200 is answered by the ACK', () => {
    const { invite, exchange } = fork('');
    assert.deepEqual(relay.take(), []);
    exchange.responseBody(response(invite, 200, 'b'), '1', bob, carol);
    anchor.exchange(later('ACK', 'b'))!.requestBody('', carol, bob);
    assert.deepEqual(relay.take(), ['offer callee 1', 'settle 1', 'answer caller 1']);
  });

  test('a message without a session description opens nothing', () => {
    const { invite, exchange } = fork('');
    exchange.responseBody(response(invite, 200, 'b', ''), '1', bob, carol);
    assert.equal(anchor.calls, 0);
    assert.equal(anchor.exchange(request({ method: 'MESSAGE' })), undefined);
    const other = anchor.exchange(request({ contentType: 'text/plain' }))!;
    assert.equal(other.requestBody('0', carol, bob), undefined);
  });
});

describe('an early dialog', () => {
  test("an UPDATE goes to the dialog's own branch, whatever its transaction calls its branch", () => {
    fork();
    relay.take();
    const update = later('UPDATE', 'b');
    const exchange = anchor.exchange(update)!;
    exchange.requestBody('0', carol, bob);
    exchange.responseBody(response(update, 200, 'b'), '0', bob, carol);
    assert.deepEqual(relay.take(), ['offer caller 1', 'answer callee 1'], 'and does not settle the call');
  });

  test('an UPDATE of the callee as well', () => {
    fork();
    relay.take();
    const update = laterByCallee('UPDATE', 'b');
    const exchange = anchor.exchange(update)!;
    exchange.requestBody('0', bob, carol);
    exchange.responseBody(response(update, 200, 'caller'), '0', carol, bob);
    assert.deepEqual(relay.take(), ['offer callee 1', 'answer caller 1']);
  });

  test('a PRACK answers the offer of a reliable 183, or makes an offer of its own', () => {
    const { invite, exchange } = fork('');
    exchange.responseBody(response(invite, 183, 'b'), '1', bob, carol);
    anchor.exchange(later('PRACK', 'b'))!.requestBody('0', carol, bob);
    const prack = later('PRACK', 'b');
    const second = anchor.exchange(prack)!;
    second.requestBody('0', carol, bob);
    second.responseBody(response(prack, 200, 'b'), '0', bob, carol);
    assert.deepEqual(relay.take(), [
      'offer callee 1',
      'answer caller 1',
      'offer caller 1',
      'answer callee 1',
    ]);
  });

  test('one that nobody began is refused', () => {
    fork();
    const exchange = anchor.exchange(later('UPDATE', 'unheard'))!;
    assert.throws(() => exchange.requestBody('0', carol, bob), failure);
  });

  test('its BYE leaves the other branches alone', () => {
    fork();
    relay.take();
    anchor.end(later('BYE', 'a', ''));
    assert.deepEqual(relay.take(), []);
    assert.equal(anchor.calls, 1);
  });
});

describe('a second 200 of a fork', () => {
  test('passes with every stream off and without an address of the callee', () => {
    const { invite, exchange } = standing();
    const body = exchange.responseBody(response(invite, 200, 'a'), '0', bob, carol)!;
    assert.match(body, /^m=audio 0 /m);
    assert.match(body, /^c=IN IP4 203\.0\.113\.5\r$/m);
    assert.doesNotMatch(body, /10\.0\.0\.77/);
    assert.deepEqual(relay.take(), [], 'the media of the first stays');
  });

  test('of the same branch is none of the winner either', () => {
    const { invite, exchange } = standing();
    const body = exchange.responseBody(response(invite, 200, 'b2'), '1', bob, carol)!;
    assert.match(body, /^m=audio 0 /m);
    assert.deepEqual(relay.take(), []);
  });

  test('said again by the winner is anchored again', () => {
    const { invite, exchange } = standing();
    exchange.responseBody(response(invite, 200, 'b'), '1', bob, carol);
    assert.deepEqual(relay.take(), ['answer callee 1', 'settle 1']);
  });

  test('its ACK, its re-INVITE and its BYE do not touch the call', () => {
    standing();
    for (const method of ['ACK', 'INVITE']) {
      const body = anchor.exchange(later(method, 'a'))!.requestBody('0', carol, bob)!;
      assert.match(body, /^m=audio 0 /m, method);
    }
    anchor.end(later('BYE', 'a', ''));
    anchor.end(laterByCallee('BYE', 'a', ''));
    assert.deepEqual(relay.take(), []);
    anchor.end(later('BYE', 'b', ''));
    assert.deepEqual(relay.take(), ['close']);
  });
});

describe('inside a call', () => {
  for (const party of ['caller', 'callee'] as const) {
    test(`a re-INVITE of the ${party} that is refused is rolled back`, () => {
      standing();
      const [reinvite, from, to] =
        party === 'caller' ? [later('INVITE', 'b'), carol, bob] : [laterByCallee('INVITE', 'b'), bob, carol];
      const exchange = anchor.exchange(reinvite)!;
      exchange.requestBody('0', from, to);
      exchange.branchFailed('0');
      exchange.failed();
      assert.deepEqual(relay.take(), [`offer ${party} 1`, `roll back ${party} 1`]);
      assert.equal(anchor.calls, 1);
    });
  }

  test('what a 488 describes is shown without its addresses', () => {
    standing();
    const reinvite = later('INVITE', 'b');
    const exchange = anchor.exchange(reinvite)!;
    const body = exchange.responseBody(response(reinvite, 488, 'b'), '0', bob, carol)!;
    assert.doesNotMatch(body, /10\.0\./);
    assert.deepEqual(relay.take(), []);
  });

  test('BYE by either side gives everything back', () => {
    standing();
    anchor.end(laterByCallee('BYE', 'b', ''));
    assert.deepEqual(relay.take(), ['close']);
    standing();
    anchor.end(later('BYE', 'b', ''));
    assert.deepEqual(relay.take(), ['close']);
  });

  test('silence gives everything back', () => {
    standing();
    relay.events[0]!.onSilence(undefined as never);
    assert.deepEqual(relay.take(), ['close']);
    assert.equal(anchor.calls, 0);
  });
});

describe('a call from before a restart', () => {
  for (const method of ['INVITE', 'UPDATE']) {
    test(`is anchored anew by ${method}, whoever sends it, and ends with its BYE`, () => {
      const again = laterByCallee(method, 'b');
      const exchange = anchor.exchange(again)!;
      exchange.requestBody('0', bob, carol);
      exchange.responseBody(response(again, 200, 'caller'), '0', carol, bob);
      assert.deepEqual(relay.take(), ['offer caller 0', 'answer callee 0', 'settle 0']);
      anchor.exchange(later('INVITE', 'b'))!.requestBody('0', carol, bob);
      assert.deepEqual(relay.take(), ['offer callee 0']);
      anchor.end(later('BYE', 'b', ''));
      assert.deepEqual(relay.take(), ['close']);
    });
  }

  test('gives the new ports back where the re-INVITE is refused', () => {
    const exchange = anchor.exchange(later('INVITE', 'b'))!;
    exchange.requestBody('0', carol, bob);
    exchange.failed();
    assert.deepEqual(relay.take(), ['offer caller 0', 'close']);
  });

  test('its PRACK and its ACK open nothing', () => {
    assert.equal(anchor.exchange(later('ACK', 'b')), undefined);
    assert.equal(anchor.exchange(later('PRACK', 'b')), undefined);
  });
});
