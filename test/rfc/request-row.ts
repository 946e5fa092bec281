import type { Judged, Setting } from './judge.ts';

/** One request of RFC 4475 and what has to become of it. */
export interface RequestRow {
  readonly file: string;
  readonly section: string;
  readonly title: string;
  /** What the RFC asks of a proxy or registrar, and why so where it leaves the choice. */
  readonly asks: string;
  readonly setting: Setting;
  /** The final status that is answered, or `forwarded` with every byte that is not the proxy's as it came. */
  readonly outcome: number | 'forwarded';
  readonly reason?: RegExp;
  /** The Request-URI that is forwarded; the called user's contact where it is absent. */
  readonly requestUri?: string;
  /** Route lines of the vector that are the agent's own. */
  readonly consumed?: string;
  readonly more?: (judged: Judged) => void;
}

/** sip:user@example.com is called by somebody of elsewhere. */
export const userCalled: Setting = { called: 'user' };
