/** cloudsip's relay alone, driven by lines on standard input: relay-process.ts FORWARDER. */
import { createInterface } from 'node:readline';
import type { MediaSession } from '../../src/media/media-contract.ts';
import { startMediaRelay, type WantedForwarder } from '../../src/media/media-relay.ts';
import { systemClock } from '../../src/net/clock.ts';
import { portsOf, sdp } from '../media/support.ts';
import { calleeAddress, callerAddress, firstPhonePort, relayAddress } from './media-network.ts';

const tell = (value: unknown): void => console.log(JSON.stringify(value));
const relay = await startMediaRelay({
  clock: systemClock,
  log: { debug: () => {}, info: () => {}, warn: (message) => console.error(message) },
  forwarder: process.argv[2] as WantedForwarder,
  portRange: { from: 40_000, to: 65_000 },
});
const identity = { boundAddress: relayAddress, advertisedAddress: relayAddress };
const sessions: MediaSession[] = [];

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count, rtcp] = line.split(' ');
  const attributes = rtcp === 'beside' ? ['rtcp-mux'] : [];
  const began = performance.now();
  if (word === 'add') {
    const ports = Array.from({ length: Number(count) }, () => {
      const i = sessions.length;
      const session = relay.createSession(`call ${i}`, { onSilence: () => {} });
      sessions.push(session);
      const at = firstPhonePort + 2 * i;
      const text = (address: string): string => sdp(address, { port: at, attributes });
      const offer = session.rewrite(text(callerAddress), 'offer', 'caller', 'b', identity, identity);
      const answer = session.rewrite(text(calleeAddress), 'answer', 'callee', 'b', identity, identity);
      session.settle('b');
      return [portsOf(answer)[0], portsOf(offer)[0]];
    });
    await relay.flush();
    tell({ ports, milliseconds: performance.now() - began });
  } else if (word === 'remove') {
    for (const session of sessions.splice(0)) session.close();
    await relay.flush();
    tell({ milliseconds: performance.now() - began });
  } else tell(relay.stats);
}
await relay.close();
