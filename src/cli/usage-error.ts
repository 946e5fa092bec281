import { CloudsipError } from '../error.ts';

export type UsageErrorCode = 'usage.arguments' | 'usage.environment' | 'usage.file';

/**
 * What the person typed, exported or wrote into the configuration file cannot be used. The process says the
 * message and ends with `exitCode`.
 */
export class UsageError extends CloudsipError {
  declare readonly code: UsageErrorCode;
  readonly exitCode = 2;

  constructor(code: UsageErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
