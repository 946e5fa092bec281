import { randomFillSync, timingSafeEqual } from 'node:crypto';
import { hmacSha256 } from './hmac-sha256.ts';

const timeBytes = 6;
const serialBytes = 6;
const signatureBytes = 16;
const length = Math.ceil(((timeBytes + serialBytes + signatureBytes) * 4) / 3);

/**
 * Nonces that need no memory (RFC 7616 3.3): time of issue and a random serial, signed with HMAC-SHA-256 over
 * both and the realm. A flood of challenges costs nothing but their hashes.
 */
export class NonceMint {
  readonly #hmac: (text: Buffer) => Buffer;
  readonly #realm: Buffer;

  constructor(key: Buffer, realm: string) {
    this.#hmac = hmacSha256(key);
    this.#realm = Buffer.from(realm);
  }

  issue(now: number): string {
    const head = Buffer.allocUnsafe(timeBytes + serialBytes);
    head.writeUIntBE(now, 0, timeBytes);
    randomFillSync(head, timeBytes);
    return Buffer.concat([head, this.#sign(head)]).toString('base64url');
  }

  /** When the nonce was issued, in milliseconds since the Unix epoch; undefined where it is not one of ours. */
  issuedAt(nonce: string): number | undefined {
    if (nonce.length > length) return undefined;
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== timeBytes + serialBytes + signatureBytes) return undefined;
    // base64url has many spellings of the same bytes; only one is ours, so that a nonce can be a key.
    if (bytes.toString('base64url') !== nonce) return undefined;
    const head = bytes.subarray(0, timeBytes + serialBytes);
    if (!timingSafeEqual(bytes.subarray(timeBytes + serialBytes), this.#sign(head))) return undefined;
    return head.readUIntBE(0, timeBytes);
  }

  #sign(head: Buffer): Buffer {
    return this.#hmac(Buffer.concat([head, this.#realm])).subarray(0, signatureBytes);
  }
}
