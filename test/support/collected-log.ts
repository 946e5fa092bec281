/** A log that keeps what it is told. */
export class CollectedLog {
  readonly lines: { level: 'info' | 'warn'; details: Record<string, unknown>; text: string }[] = [];

  info(details: object, text: string): void {
    this.lines.push({ level: 'info', details: { ...details }, text });
  }

  warn(details: object, text: string): void {
    this.lines.push({ level: 'warn', details: { ...details }, text });
  }
}
