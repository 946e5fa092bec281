/** What the relay needs of a log. */
export interface MediaLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}
