/** A relay under measurement. */
export interface BenchRelay extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Sets up so many calls; gives their ports, for the caller and for the callee, and how long that took. */
  add(calls: number): Promise<{
    readonly ports: readonly (readonly [number, number])[];
    readonly microsecondsPerCall: number;
  }>;
  /** Ends all calls; microseconds for each. */
  remove(): Promise<number>;
  /** Anything else that belongs into the report. */
  report?(): Promise<string>;
}
