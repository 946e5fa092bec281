import type { Finding } from '../discovery/finding.ts';
import { LibcError, loadLibc } from '../net/libc.ts';
import type { Patient } from './patient.ts';

const check = 'system-calls';

/** Whether sockets can be served by system calls made directly, which is the fast way. */
export function checkSystemCalls({ configuration }: Patient): Finding[] {
  if (configuration.udp === 'dgram' && (configuration.media === 'dgram' || configuration.media === 'off')) {
    const evidence = 'Not wanted: the configuration says dgram.';
    return [{ check, verdict: 'skip', evidence }];
  }
  try {
    loadLibc();
    return [{ check, verdict: 'pass', evidence: 'The system calls of libc can be made directly.' }];
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    return [
      {
        check,
        verdict: 'warn',
        evidence: `${error.message} cloudsip takes Node's own sockets, which carry fewer calls.`,
        remedy: 'Install cloudsip again on this machine, without --omit=optional: npm ci',
      },
    ];
  }
}
