import assert from 'node:assert/strict';
import { portsOf } from '../media/support.ts';

/**
 * A description with names in the places of what the relay chose by itself. `ufrags` are those that its reader was told
 * before: the second one has a number, since by it ICE begins anew.
 */
export function namedDescription(written: string, ufrags: string[]): string {
  let text = written.replaceAll('\r\n', '\n');
  const ports = portsOf(written);
  ports.forEach((port, index) => {
    if (port === 0 || ports.indexOf(port) < index) return;
    assert.equal(port % 2, 0, 'RTP on an even port');
    text = text
      .replace(new RegExp(`\\b${port}\\b`, 'g'), `PORT${index}`)
      .replace(new RegExp(`\\b${port + 1}\\b`, 'g'), `PORT${index}+1`);
  });
  const [, ufrag] = /^a=ice-ufrag:(.*)$/m.exec(text) ?? [];
  if (ufrag === undefined) return text;
  if (!ufrags.includes(ufrag)) ufrags.push(ufrag);
  const place = ufrags.indexOf(ufrag);
  const number = place === 0 ? '' : place + 1;
  return text
    .replace(/^a=ice-ufrag:.*$/m, `a=ice-ufrag:UFRAG${number}`)
    .replace(/^a=ice-pwd:.*$/m, `a=ice-pwd:PASSWORD${number}`);
}
