import type { Writable } from 'node:stream';

/**
 * What becomes of a process whose output cannot be written: a command has nothing left to do and ends, in silence
 * where its reader has gone (`cloudsip doctor | head`); an agent has calls and goes on.
 */
export function handleOutputFailure(
  { stdout, stderr }: { readonly stdout: Writable; readonly stderr: Writable },
  isAgent: boolean,
  exit: (code: number) => void,
): void {
  // Where this one fails there is nobody left to tell.
  stderr.on('error', () => {});
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isAgent) return;
    if (error.code !== 'EPIPE') stderr.write(`cloudsip: the output cannot be written: ${error.message}\n`);
    exit(1);
  });
}
