import { CloudsipError } from '../../src/error.ts';

/** `ERR_LAB`: the laboratory could not be built or was asked for something that it does not hold. */
export class LabError extends CloudsipError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_LAB', message, options);
  }
}
