/** Why the running agent of a state directory was not reached, and what to do. */
export function unreachedReason(error: unknown, stateDir: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return `expected a running agent with the state directory ${stateDir} and found none; name another one with --state-dir`;
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return `the agent with the state directory ${stateDir} belongs to another user; run it again with sudo`;
  }
  return `the agent with the state directory ${stateDir} cannot be reached: ${message}`;
}
