/** A process with a relay and one call, for tests that end it: kernel-process.ts FORWARDER ADDRESS. */
import { startMediaRelay, type WantedForwarder } from '../../../src/media/media-relay.ts';
import { systemClock } from '../../../src/net/clock.ts';
import { portsOf, sdp } from '../support.ts';

const [forwarder = 'auto', address = '127.0.0.1'] = process.argv.slice(2);
const say = (message: string): void => console.log(message);
const relay = await startMediaRelay({
  clock: systemClock,
  log: { debug: () => {}, info: say, warn: say },
  forwarder: forwarder as WantedForwarder,
});
const session = relay.createSession('call', { onSilence: () => {} });
const identity = { boundAddress: address, advertisedAddress: address };
const offer = session.rewrite(sdp('10.91.0.2', 4000), 'offer', 'caller', 'b', identity, identity);
const answer = session.rewrite(sdp('10.91.0.3', 5000), 'answer', 'callee', 'b', identity, identity);
await relay.flush();
console.log(`ready ${relay.stats.forwarder}`);
console.log(JSON.stringify({ caller: portsOf(answer)[0], callee: portsOf(offer)[0] }));
process.stdin.resume();
process.stdin.on('end', () => void relay.close());
