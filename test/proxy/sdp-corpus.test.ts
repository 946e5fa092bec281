import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { relayAddress, relayFor } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { corpusCalls, makeCorpusCall } from '../support/sdp-corpus.ts';

/** Each family has one. */
const listenerOf = (place: string): number => (place.startsWith('[') ? 1 : 0);

describe('offers and answers through parser, proxy and relay', () => {
  for (const corpusCall of corpusCalls) {
    const { file, title, caller, callee } = corpusCall;
    test(`${file}: ${title}`, async (t) => {
      const { relay } = await relayFor(t);
      const harness = new ProxyHarness({
        listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`, 'udp:[::1]:5060 as [2001:db8::5]:5060'],
        localNetworks: ['127.0.0.0/8', '::1/128'],
        media: (identity) => new MediaAnchor(relay, identity),
      });
      harness.bind('bob', `sip:bob@${callee}`, callee, { at: listenerOf(callee) });
      await makeCorpusCall(corpusCall, {
        caller,
        callee,
        uri: 'sip:bob@example.com',
        send: (text, byCallee) => {
          const source = byCallee ? callee : caller;
          harness.receive(text, source, listenerOf(source));
        },
        next: async () => harness.take().at(-1)!.message,
      });
      await relay.flush();
      assert.deepEqual([relay.stats.portsInUse, relay.stats.sessions], [0, 0]);
    });
  }
});
