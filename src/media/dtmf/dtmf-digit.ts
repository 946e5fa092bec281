import type { Party } from '../media-contract.ts';

/** A key that somebody pressed. */
export interface DtmfDigit {
  readonly party: Party;
  /** One of 0-9, *, #, A-D; `flash` for the hook. */
  readonly digit: string;
  /** 0 where it was not told. */
  readonly durationMs: number;
  /** RFC 4733, SIP INFO, or tones in the audio. */
  readonly by: 'rtp' | 'info' | 'inband';
}

/** Events of RFC 4733 3.2 by their numbers. */
export const eventNames: readonly string[] = [...'0123456789*#ABCD', 'flash'];
