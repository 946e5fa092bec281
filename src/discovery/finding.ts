import type { Topology } from './topology.ts';

/** `skip`: could not be checked, and the evidence says why. */
export type Verdict = 'pass' | 'warn' | 'fail' | 'skip';

/** One checked thing: what was looked at, what was seen and, where that is not good, what to do. */
export interface Finding {
  /** Stable name of the check, `security-group`, the same for each subject. */
  readonly check: string;
  /** What was checked where there are several: a listener, an interface, a right. */
  readonly subject?: string;
  readonly verdict: Verdict;
  /** A sentence: what was seen, and where. */
  readonly evidence: string;
  /** What to do, with the command or policy to paste; there for `fail` and `warn`. */
  readonly remedy?: string;
}

/** What has to be reachable from outside. */
export interface Examination {
  readonly topology: Topology;
  readonly listeners: readonly ExaminedListener[];
  /** UDP, both ends included. */
  readonly rtpPorts: { readonly from: number; readonly to: number };
}

export interface ExaminedListener {
  readonly transport: string;
  /** The private address that it binds. */
  readonly address: string;
  readonly port: number;
  /** What it advertises to the internet, if anything. */
  readonly advertised?: string;
}
