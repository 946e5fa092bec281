import type { LogOutput } from './log.ts';
import { listenerRows, type NewAccount, type Status, servers, statusTable } from './status-table.ts';

/** The one log call that this needs; pino satisfies it. */
export interface StatusLog {
  info(details: object, message: string): void;
}

/**
 * Tells that the agent serves: as a table on a terminal, else as log lines. Passwords go only to a terminal,
 * where a person reads them; a log is kept and read by others.
 */
export function showStatus(
  status: Status,
  accounts: readonly NewAccount[],
  log: StatusLog,
  output: LogOutput = process.stdout,
): void {
  if (output.isTTY) {
    output.write(`\n${statusTable(status, accounts)}\n`);
    return;
  }
  const { version, topology, readyAfterMs } = status;
  for (const row of listenerRows(status.listeners, topology)) log.info(row, 'listening');
  log.info(
    {
      version,
      provider: topology.provider,
      localNetworks: topology.localNetworks,
      reach: servers(status).map((server) => server.addressOfRecord),
      readyAfterMs: Math.round(readyAfterMs),
    },
    'ready',
  );
  log.info(
    accounts.length > 0 ? { made: accounts.map((account) => account.name) } : {},
    "accounts: 'cloudsip user list' shows them",
  );
}
