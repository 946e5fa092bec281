import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MediaIdentity, MediaRelay, MediaSession } from '../../src/media/media-contract.ts';
import type { MediaRelayOptions } from '../../src/media/media-relay.ts';
import {
  addressesOf,
  kinds,
  Phone,
  portsOf,
  relayAddress,
  relayFor,
  rtp,
  sdp,
  silentLog,
} from './support.ts';

const nobody = { onSilence: (): void => {} };
/** Two cards of one machine; a public address is first that of one, then that of the other. */
const first = relayAddress;
const second = relayAddress.replace(/1$/, '2');
const known = '203.0.113.5';
const firstCard: MediaIdentity = { boundAddress: first, advertisedAddress: known };
/** Who is told the private address is not concerned by what happens to the public one. */
const neighbour: MediaIdentity = { boundAddress: first, advertisedAddress: first };
const secondCard: MediaIdentity = { boundAddress: second, advertisedAddress: known };
const before = new Map([[known, first]]);
const after = new Map([[known, second]]);

interface Line {
  readonly message: string;
  readonly details: object | undefined;
}

async function build(t: TestContext, options: Partial<MediaRelayOptions> = {}) {
  const lines: Line[] = [];
  const say = (message: string, details?: object): void => void lines.push({ message, details });
  const { relay } = await relayFor(t, { ...options, log: { ...silentLog, info: say, warn: say } });
  relay.follow(before);
  return { relay, told: (text: RegExp) => lines.filter(({ message }) => text.test(message)) };
}

function offer(session: MediaSession, caller: Phone, callee = firstCard): number {
  const text = session.rewrite(sdp('127.0.0.1', caller.port), 'offer', 'caller', 'b', firstCard, callee);
  return portsOf(text)[0]!;
}

function answer(session: MediaSession, phone: Phone, [callee, caller] = [firstCard, firstCard]): string {
  return session.rewrite(sdp('127.0.0.1', phone.port), 'answer', 'callee', 'b', callee, caller);
}

/** Sends until what was sent arrives: the thread is told of changes, and does them a moment later. */
async function passes(
  relay: MediaRelay,
  from: Phone,
  port: number,
  to: Phone,
  address: string,
): Promise<void> {
  await relay.flush();
  const text = `over ${address}:${port}`;
  await from.send(rtp(text), port, address);
  const { payload } = await to.next();
  assert.deepEqual(payload, rtp(text));
}

for (const forwarder of kinds) {
  describe(`a public address moves to another card, with ${forwarder}`, () => {
    it('the call goes on there at the same ports, with its counts; other sockets are not touched', async (t) => {
      const { relay, told } = await build(t, { forwarder });
      const [caller, callee, nina, frank] = await Promise.all([1, 2, 3, 4].map(() => Phone.open(t)));
      const session = relay.createSession('moves', nobody);
      const toCallee = offer(session, caller!);
      const toCaller = portsOf(answer(session, callee!))[0]!;
      const mixed = relay.createSession('mixed', nobody);
      const toNina = offer(mixed, frank!, neighbour);
      const toFrank = portsOf(answer(mixed, nina!, [neighbour, firstCard]))[0]!;
      await passes(relay, caller!, toCaller, callee!, first);
      await passes(relay, callee!, toCallee, caller!, first);
      await passes(relay, nina!, toNina, frank!, first);
      const stays = mixed.snapshot().find(({ party }) => party === 'callee')!.bound;

      relay.follow(after);
      await passes(relay, caller!, toCaller, callee!, second);
      await passes(relay, callee!, toCallee, caller!, second);
      // The neighbour sends where he sent before, and what he sends leaves by the other card.
      await nina!.send(rtp('from nina'), toNina, first);
      assert.deepEqual((await frank!.next()).source, { address: second, port: toFrank });
      await passes(relay, frank!, toFrank, nina!, second);

      for (const { bound, packets } of session.snapshot()) {
        assert.equal(bound.address, second);
        assert.equal(packets, 2, 'those of before count still');
      }
      assert.deepEqual(
        mixed
          .snapshot()
          .map(({ party, bound }) => [party, bound.address])
          .sort(),
        [
          ['callee', first],
          ['caller', second],
        ],
      );
      assert.deepEqual(mixed.snapshot().find(({ party }) => party === 'callee')!.bound, stays);
      assert.equal(relay.stats.portsInUse, 8);
      assert.deepEqual(
        told(/followed a public address/).map(({ details }) => details),
        [{ calls: 2, ports: 6 }],
      );
      // The ports of before are free, those of now are given back.
      const squatter = await Phone.open(t, first, toCaller);
      await squatter.send(rtp('x'), toCaller, second);
      session.close();
      mixed.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
      await Phone.open(t, second, toCaller);
    });

    it('a call that rings is answered there, and its re-INVITE opens nothing new', async (t) => {
      const { relay } = await build(t, { forwarder });
      const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
      const session = relay.createSession('rings', nobody);
      const toCallee = offer(session, caller);
      relay.follow(after);
      const text = answer(session, callee, [secondCard, secondCard]);
      assert.deepEqual(addressesOf(text), [known]);
      await passes(relay, caller, portsOf(text)[0]!, callee, second);
      await passes(relay, callee, toCallee, caller, second);
      const again = session.rewrite(
        sdp('127.0.0.1', caller.port),
        'offer',
        'caller',
        'b',
        secondCard,
        secondCard,
      );
      assert.deepEqual(portsOf(again), [toCallee]);
      answer(session, callee, [secondCard, secondCard]);
      assert.equal(relay.stats.portsInUse, 4);
      // Nothing has moved since.
      relay.follow(new Map(after));
      await passes(relay, caller, portsOf(text)[0]!, callee, second);
    });

    it('where the ports are taken on the other card, one line tells of all such calls', async (t) => {
      const { relay, told } = await build(t, { forwarder, portRange: { from: 20_000, to: 20_007 } });
      const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
      const session = relay.createSession('stays', nobody);
      offer(session, caller);
      const toCaller = portsOf(answer(session, callee))[0]!;
      await Phone.open(t, second, toCaller + 1);
      relay.follow(after);
      await relay.flush();
      const lost = told(/lost until a re-INVITE/);
      assert.deepEqual(
        lost.map(({ details }) => details),
        [{ calls: 1, callIds: ['stays'] }],
      );
      assert.deepEqual(
        session
          .snapshot()
          .map(({ bound }) => bound.address)
          .sort(),
        [first, second],
      );
      await passes(relay, caller, toCaller, callee, first);
      session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
    });

    it('two cards change places, or one address follows the other, and every call has the port of another', async (t) => {
      // Two pairs on each card: each number is taken on all of them.
      const { relay, told } = await build(t, { forwarder, portRange: { from: 20_000, to: 20_003 } });
      const third = relayAddress.replace(/1$/, '3');
      const cards = [
        ['203.0.113.5', first],
        ['203.0.113.6', second],
        ['203.0.113.7', third],
      ] as const;
      relay.follow(new Map(cards));
      const calls = await Promise.all(
        cards.map(async ([advertisedAddress, boundAddress]) => {
          const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
          const session = relay.createSession(advertisedAddress, nobody);
          const card = { boundAddress, advertisedAddress };
          const text = session.rewrite(sdp('127.0.0.1', caller.port), 'offer', 'caller', 'b', card, card);
          const toCaller = portsOf(answer(session, callee, [card, card]))[0]!;
          return { session, caller, callee, toCallee: portsOf(text)[0]!, toCaller, told: advertisedAddress };
        }),
      );
      const talkAt = async (places: readonly (readonly [string, string])[]): Promise<void> => {
        for (const { session, caller, callee, toCallee, toCaller, told: name } of calls) {
          const place = new Map(places).get(name)!;
          await passes(relay, caller, toCaller, callee, place);
          await passes(relay, callee, toCallee, caller, place);
          assert.deepEqual(
            session.snapshot().map(({ bound }) => bound.address),
            [place, place],
          );
        }
      };
      await talkAt(cards);
      const [[one], [two], [three]] = cards;
      for (const places of [
        // A swap, a ring of three, and back, all on each other's heels.
        [
          [one, second],
          [two, first],
          [three, third],
        ],
        [
          [one, third],
          [two, second],
          [three, first],
        ],
        [
          [one, second],
          [two, third],
          [three, first],
        ],
      ] as const) {
        relay.follow(new Map(places));
        await talkAt(places);
      }
      relay.follow(new Map(cards));
      const back = [
        [one, third],
        [two, first],
        [three, second],
      ] as const;
      relay.follow(new Map(back));
      await talkAt(back);
      // A chain: the last one goes to a card where nobody is.
      const fourth = relayAddress.replace(/1$/, '4');
      const chain = [
        [one, fourth],
        [two, second],
        [three, third],
      ] as const;
      relay.follow(new Map(chain));
      await talkAt(chain);
      assert.deepEqual(told(/lost/), []);
      for (const { session } of calls) session.close();
      await relay.flush();
      assert.equal(relay.stats.portsInUse, 0);
      for (const address of [first, second, third, fourth, '127.0.0.1'])
        for (const port of [20_000, 20_001, 20_002, 20_003]) await Phone.open(t, address, port);
    });

    it('whose place is taken by a stranger while others change theirs stays where it is', async (t) => {
      const { relay, told } = await build(t, { forwarder, portRange: { from: 20_000, to: 20_003 } });
      relay.follow(new Map([[known, first]]));
      const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
      const session = relay.createSession('stays', nobody);
      const toCallee = offer(session, caller);
      const toCaller = portsOf(answer(session, callee))[0]!;
      await Promise.all([toCaller, toCallee].map((port) => Phone.open(t, second, port)));
      relay.follow(new Map([[known, second]]));
      await relay.flush();
      assert.equal(told(/lost until a re-INVITE/).length, 1);
      await passes(relay, caller, toCaller, callee, first);
      session.close();
    });

    it('two calls that meet here still do, when one of them moves', async (t) => {
      const { relay } = await build(t, { forwarder });
      const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
      const one = relay.createSession('one', nobody);
      const inner = offer(one, caller);
      // What one tells its callee is what the other takes for its caller.
      const two = relay.createSession('two', nobody);
      two.rewrite(sdp(known, inner), 'offer', 'caller', 'b', neighbour, neighbour);
      const between = portsOf(answer(two, callee, [neighbour, neighbour]))[0]!;
      const text = one.rewrite(sdp(first, between), 'answer', 'callee', 'b', firstCard, firstCard);
      await passes(relay, caller, portsOf(text)[0]!, callee, first);
      relay.follow(after);
      await passes(relay, caller, portsOf(text)[0]!, callee, second);
    });

    it('outlives a crash of the media thread right behind it', async (t) => {
      const { relay } = await build(t, { forwarder });
      const [caller, callee] = await Promise.all([Phone.open(t), Phone.open(t)]);
      const session = relay.createSession('crash', nobody);
      offer(session, caller);
      const toCaller = portsOf(answer(session, callee))[0]!;
      await passes(relay, caller, toCaller, callee, first);
      relay.follow(after);
      await (relay as MediaRelay & { crash(): Promise<void> }).crash();
      await passes(relay, caller, toCaller, callee, second);
      await Phone.open(t, first, toCaller);
    });
  });
}
