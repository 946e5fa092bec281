import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { MediaAnchor } from '../../src/proxy/media-anchor.ts';
import { portsOf, relayAddress, relayFor } from '../media/support.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { requestText, responseText } from '../support/sip-text.ts';

const folder = new URL('../fixtures/sdp/calls/', import.meta.url);
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

/** A description with names in the places of what the relay chose by itself. */
function named(written: string): string {
  let text = written.replaceAll('\r\n', '\n');
  const ports = portsOf(written);
  ports.forEach((port, index) => {
    if (port === 0 || ports.indexOf(port) < index) return;
    assert.equal(port % 2, 0, 'RTP on an even port');
    text = text
      .replace(new RegExp(`\\b${port}\\b`, 'g'), `PORT${index}`)
      .replace(new RegExp(`\\b${port + 1}\\b`, 'g'), `PORT${index}+1`);
  });
  return text
    .replace(/^a=ice-ufrag:.*$/m, 'a=ice-ufrag:UFRAG')
    .replace(/^a=ice-pwd:.*$/m, 'a=ice-pwd:PASSWORD');
}

describe('offers and answers through the agent', () => {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.txt')) continue;
    const [head = '', offer = '', offered = '', answer = '', answered = ''] = readFileSync(
      new URL(file, folder),
      'latin1',
    ).split(/^-{8}\n/m);
    const [title = '', ...conditions] = head.trimEnd().split('\n');
    const callee = /^callee: (.*)$/m.exec(conditions.join('\n'))?.[1] ?? '198.51.100.20:5060';

    test(`${file}: ${title}`, async (t) => {
      const { relay } = await relayFor(t);
      const harness = new ProxyHarness({
        listeners: [`udp:${relayAddress}:5060 as 203.0.113.5:5060`, 'udp:[::1]:5060 as [2001:db8::5]:5060'],
        localNetworks: ['127.0.0.0/8', '::1/128'],
        media: (identity) => new MediaAnchor(relay, identity),
      });
      const at = callee.startsWith('[') ? 1 : 0;
      harness.bind('bob', `sip:bob@${callee}`, callee, { at });
      harness.receive(requestText({ body: crlf(offer) }), '198.51.100.10:5060');
      const invite = harness.take().at(-1)!;
      assert.equal(invite.message.method, 'INVITE', invite.text);
      const response = { status: 200, contact: `<sip:bob@${callee}>`, body: crlf(answer) };
      harness.receive(responseText(invite.text, response), callee, at);
      const ok = harness.take().at(-1)!;
      assert.equal(ok.message.status, 200, ok.text);
      assert.equal(named(invite.message.body), offered, 'what the callee reads');
      assert.equal(named(ok.message.body), answered, 'what the caller reads');
    });
  }
});
