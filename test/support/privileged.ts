/** What `needsRoot` spreads into `describe` and `test`: `skip` carries the reason that the runner prints. */
export interface PrivilegeOption {
  readonly skip: false | string;
}

/**
 * Says whether tests that make network namespaces can run. Where nobody reads the list of skipped tests
 * (CI) a missing right is an error instead: a laboratory that vanishes silently proves nothing.
 */
export function privilegeOption(uid: number | undefined, ci: boolean): PrivilegeOption {
  if (uid === 0) return { skip: false };
  const reason = `network namespaces need root, this process has uid ${uid ?? 'none'}: run it with sudo`;
  if (ci) throw new Error(reason);
  return { skip: reason };
}

/** `describe('…', needsRoot, () => …)` */
export const needsRoot: PrivilegeOption = privilegeOption(process.getuid?.(), process.env['CI'] === 'true');
