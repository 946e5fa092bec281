import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { RECORD_ROUTE } from '../../src/sip/message/header-id.ts';
import { kinds, relayAddress, relayFor, sdp } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const carol = '198.51.100.10:5060';
const bob = '198.51.100.20:5060';
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
/** What is reachable, after all else is gone. */
function memoryInUse(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

describe('10,000 calls, one after the other and in every way', () => {
  for (const forwarder of kinds) {
    test(`leave no port, session, descriptor or memory behind with ${forwarder}`, async (t) => {
      const { relay, clock } = await relayFor(t, { forwarder, portRange: { from: 40_000, to: 41_999 } });
      let anchor: MediaAnchor | undefined;
      const harness = new ProxyHarness({
        listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`],
        localNetworks: ['127.0.0.0/8'],
        media: (identity) =>
          (anchor = new MediaAnchor(relay, identity, {
            unreadable: 'refuse',
            silence: 'bye',
            path: 'relay',
          })),
      });
      // Longer than all the calls take.
      harness.bind('bob', `sip:bob@${bob}`, bob, { expiresAt: harness.clock.now() + 1e9 });
      const answer = (text: string, status: number, body = ''): string =>
        responseText(text, { status, body, contact: `<sip:bob@${bob}>` });

      const call = (n: number): void => {
        const callId = `call-${n}`;
        const request = { callId, branch: `z9hG4bK${n}`, body: sdp('10.9.9.9', 4000) };
        harness.receive(requestText(request), carol);
        const invite = harness.take().at(-1)!;
        switch (n % 4) {
          case 0: // busy
            harness.receive(answer(invite.text, 486), bob);
            break;
          case 1: // an answer that nobody can read
            harness.receive(answer(invite.text, 200, 'v=0\r\n'), bob);
            for (const { message, text } of harness.take()) {
              if (message.method === 'BYE') harness.receive(answer(text, 200), bob);
            }
            break;
          default: {
            harness.receive(answer(invite.text, 200, sdp('10.8.8.8', 5000)), bob);
            const ok = harness.take().at(-1)!;
            const routes = ok.message.values(RECORD_ROUTE).map((route) => `Route: ${route}`);
            const inside = {
              callId,
              uri: `sip:bob@${bob}`,
              to: '<sip:bob@example.com>;tag=callee',
              headers: routes,
            };
            harness.receive(requestText({ ...inside, method: 'ACK', branch: `z9hG4bKa${n}` }), carol);
            harness.receive(
              requestText({ ...inside, method: 'BYE', cseq: 2, branch: `z9hG4bKb${n}` }),
              carol,
            );
            harness.receive(answer(harness.take().at(-1)!.text, 200), bob);
          }
        }
        harness.take();
      };
      const calls = async (from: number, count: number): Promise<void> => {
        for (let n = from; n < from + count; n++) {
          call(n);
          // 1000 pairs serve 500 calls at a time; each closes its ports a moment after its end.
          if (n % 100 === 99) {
            await relay.flush();
            harness.clock.advance(40_000);
          }
        }
        await relay.flush();
        harness.clock.advance(40_000);
      };
      await calls(0, 2000);
      const [files, memory] = [openFiles(), memoryInUse()];
      await calls(2000, 8000);
      const { sessions, legs, portsInUse } = relay.stats;
      assert.deepEqual([sessions, legs, portsInUse, anchor!.calls, anchor!.invites], [0, 0, 0, 0, 0]);
      assert.deepEqual([openFiles(), clock.pending], [files, 0]);
      const { serverTransactions, clientTransactions } = harness.layer;
      assert.deepEqual([serverTransactions, clientTransactions], [0, 0]);
      const grown = (memoryInUse() - memory) / 1_000_000;
      assert.ok(grown < 3, `${grown.toFixed(1)} MB more`);
    });
  }
});
