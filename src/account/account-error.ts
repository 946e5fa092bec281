import { CloudsipError } from '../error.ts';

export type AccountErrorCode =
  | 'account.name'
  | 'account.password'
  | 'account.exists'
  | 'account.unknown'
  | 'account.store'
  | 'account.not-owner'
  | 'account.interrupted';

/** Something about accounts that the person at the keyboard can put right. */
export class AccountError extends CloudsipError {
  declare readonly code: AccountErrorCode;

  constructor(code: AccountErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

export function accountExists(name: string): AccountError {
  return new AccountError(
    'account.exists',
    `expected a new name and ${name} exists; to change its password remove it first: cloudsip user remove ${name}`,
  );
}
