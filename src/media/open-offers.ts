import type { Party } from './media-contract.ts';
import type { OfferForm } from './offer-form.ts';
import type { StreamRemote } from './stream-remote.ts';

/** What an offer inside a call asked for, kept until it is answered. */
export interface OpenOffer {
  /** By position of the `m=` line. */
  readonly remotes: readonly (StreamRemote | undefined)[];
  readonly held: boolean;
  readonly form: OfferForm;
}

/**
 * Offers inside a running call that nobody has answered yet. Until then the media stays as it is: an offer that
 * is refused leaves everything as if it had never been made (RFC 3264 8, RFC 3261 14.1), and the side that made
 * it listens at its old address up to the answer (RFC 3264 8.3.1).
 */
export class OpenOffers {
  readonly #offers = new Map<string, OpenOffer>();

  get none(): boolean {
    return this.#offers.size === 0;
  }

  /** A second offer of the same side takes the place of the first. */
  put(branch: string, party: Party, offer: OpenOffer): void {
    this.#offers.set(`${party} ${branch}`, offer);
  }

  /** Takes an offer out; undefined where there is none. */
  take(branch: string, party: Party): OpenOffer | undefined {
    const key = `${party} ${branch}`;
    const offer = this.#offers.get(key);
    this.#offers.delete(key);
    return offer;
  }
}
