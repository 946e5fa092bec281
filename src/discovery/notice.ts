/**
 * What is about to happen to the machine. `pause` is a freeze or a live migration, after which it goes on;
 * `rebalance` says only that the risk has grown.
 */
export type NoticeKind = 'termination' | 'reboot' | 'scale-in' | 'maintenance' | 'rebalance' | 'pause';

/** The cloud's word that the machine goes away or stands still, in one shape for every cloud. */
export interface Notice {
  /** The same for every repetition of one notice, also where its deadline moved. */
  readonly id: string;
  readonly kind: NoticeKind;
  /** When it happens at the earliest, milliseconds since 1970; absent where the cloud names no time. */
  readonly deadline?: number;
  /** Who said so, `ec2 spot/instance-action`. */
  readonly source: string;
  /** The cloud took the notice back: what was begun because of it is called off. */
  readonly withdrawn?: true;
  /** Tells the cloud that it need not wait any longer: called once the last call has ended. Rejects on failure. */
  readonly acknowledge?: (signal: AbortSignal) => Promise<void>;
}
