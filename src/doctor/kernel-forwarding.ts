import type { Finding } from '../discovery/finding.ts';
import { BpfError } from '../media/kernel/bpf.ts';
import { kernelSource } from '../media/kernel/kernel-source.ts';
import { LibcError, loadLibc } from '../net/libc.ts';
import type { Patient } from './patient.ts';

const check = 'kernel-forwarding';

/** Whether settled media can be forwarded in the kernel: the program is loaded for a moment, and attached nowhere. */
export function checkKernelForwarding({ configuration, machine, agent }: Patient): Finding[] {
  const { media } = configuration;
  if (media !== 'auto' && media !== 'kernel' && media !== 'kernel-xdp') {
    return [{ check, verdict: 'skip', evidence: `Not wanted: the configuration says ${media}.` }];
  }
  try {
    const source = kernelSource(loadLibc(), media === 'auto' ? 'kernel' : media);
    source.detach();
    const hook = source.forwarder === 'kernel' ? 'TCX' : 'XDP';
    const other =
      agent && agent.uid !== machine.uid
        ? ` cloudsip runs as user ${agent.uid}, whose rights are told in its log.`
        : '';
    const evidence = `User ${machine.uid} may have settled media forwarded in the kernel (${hook}).${other}`;
    return [{ check, verdict: 'pass', evidence }];
  } catch (error) {
    if (!(error instanceof BpfError) && !(error instanceof LibcError)) throw error;
    const evidence = `The kernel takes no program that forwards media: ${error.message}.`;
    if (media === 'auto') {
      // Slower, and nothing is lost.
      return [{ check, verdict: 'pass', evidence: `${evidence} Media is forwarded in user space.` }];
    }
    if (machine.uid !== 0) {
      return [{ check, verdict: 'skip', evidence: `${evidence} Whether root may, only root can try.` }];
    }
    const remedy = 'Take the way that works here: --media auto';
    return [{ check, verdict: 'fail', evidence, remedy }];
  }
}
