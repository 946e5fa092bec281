/** What the relay needs of a log. */
export interface MediaLog {
  debug(message: string): void;
  /** `details` are fields of the log line. */
  info(message: string, details?: object): void;
  warn(message: string, details?: object): void;
}
