import type { DiscoveryError } from '../../src/discovery/discovery-error.ts';
import type { ApiInterface } from './api-answer.ts';

/** What the API said last, so that polling metadata every few seconds does not start a child each time. */
export interface ApiMemory {
  last?: {
    /** What was known when it was asked; with other facts it is asked anew. */
    readonly key: string;
    readonly at: number;
    readonly outcome: readonly ApiInterface[] | DiscoveryError;
  };
  /** Whether addresses in use came from the API: then its silence is an error and changes nothing. */
  relied?: boolean;
}
