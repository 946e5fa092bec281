import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MediaError } from '../../src/media/media-error.ts';
import { kinds, relayFor, towardsCallee, towardsCaller } from './support.ts';

const folder = new URL('../fixtures/sdp/', import.meta.url);
/** All descriptions of the corpus, as they come and as they go. */
const descriptions: readonly string[] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.txt'))
  .sort()
  .flatMap((name) =>
    readFileSync(new URL(name, folder), 'latin1')
      .split(/^-{8}\n/m)
      .slice(1),
  )
  .map((text) =>
    text.replace(/PORT(\d)/g, (_, n: string) => `${30_000 + 2 * Number(n)}`).replaceAll('\n', '\r\n'),
  );

/** Numbers below a bound, the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % sides;
  };
}

describe('offers, answers and ends in any order', () => {
  for (const forwarder of kinds) {
    it(`are served or refused, and everything comes back with ${forwarder}`, async (t) => {
      const { relay, clock } = await relayFor(t, { forwarder });
      const roll = dice(4711);
      const six = { boundAddress: '::1', advertisedAddress: '2001:db8::1' };
      const codes = new Set<string>();
      let served = 0;
      for (let round = 0; round < 300; round++) {
        const session = relay.createSession(`round ${round}`, { onSilence: () => {} });
        for (let step = 0; step < 12; step++) {
          const from = roll(2) === 0 ? 'caller' : 'callee';
          const branch = roll(2) === 0 ? 'a' : 'b';
          const callee = roll(4) === 0 ? six : towardsCallee;
          const [sender, receiver] = from === 'caller' ? [towardsCaller, callee] : [callee, towardsCaller];
          const lines = descriptions[roll(descriptions.length)]!.split('\r\n');
          if (roll(5) === 0) lines.splice(roll(lines.length), 1);
          try {
            switch (roll(12)) {
              case 0:
                session.settle(branch);
                break;
              case 1:
                session.dropBranch(branch);
                break;
              case 2:
                session.rollBack(branch, from);
                break;
              case 3:
                clock.advance(20_000);
                break;
              default: {
                const kind = roll(2) === 0 ? 'offer' : 'answer';
                session.rewrite(lines.join('\r\n'), kind, from, branch, sender, receiver);
                served++;
              }
            }
          } catch (error) {
            if (!(error instanceof MediaError)) throw error;
            codes.add(error.code);
          }
        }
        session.snapshot();
        session.close();
        if (round % 20 === 0) await relay.flush();
      }
      await relay.flush();
      assert.ok(served > 1000, `${served}`);
      assert.deepEqual([...codes].sort(), [
        'media.answer-without-offer',
        'media.branch-gone',
        'media.sdp-unusable',
      ]);
      const { portsInUse, sessions, legs, restarts } = relay.stats;
      assert.deepEqual([portsInUse, sessions, legs, restarts, clock.pending], [0, 0, 0, 0, 0]);
    });
  }
});
