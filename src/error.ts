/**
 * An error meant for the person at the keyboard: the message says what was expected, what came and what to
 * do; `code` is stable and can be relied on by scripts.
 */
export class CloudsipError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}
