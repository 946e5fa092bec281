import type { DiscoveryLog } from '../../src/discovery/provider.ts';

export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn';
  readonly details: object;
  readonly message: string;
}

/** A log that keeps its lines in place of printing them. */
export function quietLog(): DiscoveryLog & { readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const record =
    (level: RecordedLine['level']) =>
    (details: object, message: string): void => {
      lines.push({ level, details, message });
    };
  return { lines, debug: record('debug'), info: record('info'), warn: record('warn') };
}
