/** A relay under measurement. */
export interface BenchRelay extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /**
   * Sets up so many calls; gives their ports, for the caller and for the callee, and how long that took. RTCP has a port
   * of its own on both sides, or comes beside RTP, where the relay can be asked for it.
   */
  add(
    calls: number,
    rtcp?: 'beside',
  ): Promise<{
    readonly ports: readonly (readonly [number, number])[];
    readonly microsecondsPerCall: number;
  }>;
  /** Ends all calls; microseconds for each. */
  remove(): Promise<number>;
  /** Anything else that belongs into the report. */
  report?(): Promise<string>;
}
