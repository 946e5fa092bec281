import { workerData } from 'node:worker_threads';
import type { ForwarderData, Report } from './forwarder-protocol.ts';
import { SlotTable } from './slot-table.ts';

/** The media thread: nothing but a pump, so that signalling never waits for packets nor packets for it. */
const data = workerData as ForwarderData;
const ready: Report = ['ready'];

// Each pump is loaded only where it serves: the thread stays small.
if (data.kind === 'koffi') {
  const [{ KoffiPump }, { loadLibc }, { askForShortSlices }, kernelFlows] = await Promise.all([
    import('./koffi-pump.ts'),
    import('../net/libc.ts'),
    import('./short-slice.ts'),
    data.kernel && import('./kernel/kernel-flows.ts'),
  ]);
  const libc = loadLibc();
  askForShortSlices(libc);
  const table = new SlotTable(data.memory);
  const say = (sentence: string): void => data.port.postMessage(['kernel', sentence] satisfies Report);
  const kernel = data.kernel && kernelFlows && new kernelFlows.KernelFlows(data.kernel, table, libc, say);
  const pump = new KoffiPump(data, table, libc, kernel);
  data.port.postMessage(ready);
  pump.loop();
} else {
  const { DgramPump } = await import('./dgram-pump.ts');
  new DgramPump(data).start();
  data.port.postMessage(ready);
}
