/** RFC 3261 table 4, in milliseconds. */
export interface TimerValues {
  /** Round-trip estimate. */
  readonly t1: number;
  /** Longest retransmission interval of non-INVITE requests and INVITE responses. */
  readonly t2: number;
  /** How long a message may stay in the network. */
  readonly t4: number;
  /** Timer D on unreliable transports: at least 32 s. */
  readonly timerD: number;
}

export const rfcTimers: TimerValues = { t1: 500, t2: 4000, t4: 5000, timerD: 32_000 };
