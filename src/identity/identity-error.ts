import { CloudsipError } from '../error.ts';

export type IdentityErrorCode =
  | 'identity.address-not-owned'
  | 'identity.advertise-syntax'
  | 'identity.alias-syntax'
  | 'identity.duplicate-listener'
  | 'identity.listener-syntax'
  | 'identity.local-network'
  | 'identity.no-address'
  | 'identity.port-unknown';

/** Why the agent cannot be who it was told to be: what was expected, what came, what to write. */
export class IdentityError extends CloudsipError {
  declare readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
