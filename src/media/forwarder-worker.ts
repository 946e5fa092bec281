import { workerData } from 'node:worker_threads';
import type { ForwarderData, Report } from './forwarder-protocol.ts';

/** The media thread: nothing but a pump, so that signalling never waits for packets nor packets for it. */
const data = workerData as ForwarderData;
const ready: Report = ['ready'];

// Each pump is loaded only where it serves: the thread stays small.
if (data.kind === 'koffi') {
  const [{ KoffiPump }, { loadLibc }] = await Promise.all([import('./koffi-pump.ts'), import('./libc.ts')]);
  const pump = new KoffiPump(data, loadLibc());
  data.port.postMessage(ready);
  pump.loop();
} else {
  const { DgramPump } = await import('./dgram-pump.ts');
  new DgramPump(data).start();
  data.port.postMessage(ready);
}
