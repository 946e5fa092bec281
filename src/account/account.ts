import { randomInt } from 'node:crypto';
import { AccountError } from './account-error.ts';

/** Somebody who may register and call. The name is the user part of the address of record. */
export interface Account {
  readonly name: string;
  readonly password: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** Throws AccountError `account.name` where the name cannot stand in a SIP URI as it is (RFC 3261 25.1 user). */
export function checkAccountName(name: string): void {
  if (/^[A-Za-z0-9._~+-]{1,64}$/.test(name)) return;
  throw new AccountError(
    'account.name',
    `expected a name of 1 to 64 letters, digits or . _ ~ + - and got ${JSON.stringify(name.slice(0, 80))}; choose another name`,
  );
}

/** Throws AccountError `account.password`; the password itself never stands in the message. */
export function checkAccountPassword(password: string): void {
  // A quote or backslash would be escaped by some phones and not by others before it is hashed; control
  // characters cannot be typed into any of them.
  if (password.length >= 1 && password.length <= 128 && !/[\x00-\x1f\x7f"\\]/.test(password)) return;
  throw new AccountError(
    'account.password',
    `expected a password of 1 to 128 characters without control characters, quotes and backslashes and got one of ${password.length} characters that is not so; choose another one`,
  );
}

/** What nobody mistakes for something else when it is read from a screen and typed into a phone. */
const readable = 'abcdefghjkmnpqrstuvwxyz23456789';

/** 16 readable characters, 79 bits of chance. */
export function generatePassword(): string {
  return Array.from({ length: 16 }, () => readable[randomInt(readable.length)]).join('');
}
