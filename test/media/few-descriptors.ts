/** A call whose sides have RTCP beside RTP, in a process that may open no more files: few-descriptors.ts FORWARDER. */
import { closeSync, openSync } from 'node:fs';
import { MediaError } from '../../src/media/media-error.ts';
import { startMediaRelay, type WantedForwarder } from '../../src/media/media-relay.ts';
import { systemClock } from '../../src/net/clock.ts';
import { anchor, sdp, silentLog } from './support.ts';

const warnings: string[] = [];
const relay = await startMediaRelay({
  clock: systemClock,
  log: { ...silentLog, warn: (line) => void warnings.push(line) },
  forwarder: process.argv[2] as WantedForwarder,
});
const session = relay.createSession('call', { onSilence: () => {} });
const offer = (...attributes: string[]): string =>
  anchor(session, 'offer', 'caller', sdp('127.0.0.1', { port: 4000, attributes }));
const answer = (...attributes: string[]): string =>
  anchor(session, 'answer', 'callee', sdp('127.0.0.1', { port: 5000, attributes }));
const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return error instanceof MediaError ? error.code : String(error);
  }
};
offer('rtcp-mux');
answer('rtcp-mux');
session.settle('b');
await relay.flush();

const files: number[] = [];
for (let full = false; !full; ) {
  try {
    files.push(openSync('/dev/null', 'r'));
  } catch {
    full = true;
  }
}
const refused = codeOf(() => offer());
const goesOn = codeOf(() => offer('rtcp-mux'));
const alone = codeOf(() => answer());
await relay.flush();
const { portsInUse } = relay.stats;
for (const fd of files) closeSync(fd);
offer('rtcp-mux');
answer();
await relay.flush();
console.log(JSON.stringify({ refused, goesOn, alone, portsInUse, warnings, later: relay.stats.portsInUse }));
await relay.close();
