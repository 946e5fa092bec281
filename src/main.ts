import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { providers } from '../providers/index.ts';
import type { ControlSocket } from './agent/control-socket.ts';
import { StopSignals } from './agent/stop-signals.ts';
import { tellServiceManager } from './agent/tell-service-manager.ts';
import { Agent } from './agent.ts';
import { handleOutputFailure } from './cli/handle-output-failure.ts';
import { harmless } from './cli/harmless.ts';
import { createLog } from './cli/log.ts';
import { readConfiguration } from './cli/read-configuration.ts';
import { notifyServiceManager, watchdogIntervalMs } from './cli/service-manager.ts';
import { showStatus } from './cli/show-status.ts';
import { UsageError } from './cli/usage-error.ts';
import { runUserCommand } from './cli/user-command.ts';
import { readVersion } from './cli/version.ts';
import { prepareAskingProviders, prepareProviders } from './discovery/prepare-providers.ts';
import { CloudsipError } from './error.ts';
import { systemClock } from './net/clock.ts';

/** Runs what the command line asks for. Resolves with the exit code once there is nothing more to do. */
async function main(): Promise<number> {
  const names = providers.map((provider) => provider.name);
  const invocation = await readConfiguration(
    process.argv.slice(2),
    process.env,
    (path) => readFile(path, 'utf8'),
    { providers: names },
  );
  const { stdin, stdout, stderr, env } = process;
  handleOutputFailure({ stdout, stderr }, invocation.kind === 'run', process.exit);
  switch (invocation.kind) {
    case 'help':
      stdout.write(invocation.text);
      return 0;
    case 'version':
      stdout.write(`cloudsip ${readVersion()}\n`);
      return 0;
    case 'user':
      return runUserCommand(invocation.arguments, {
        stdin,
        stdout,
        stderr,
        stateDir: invocation.configuration.stateDirectory,
      });
    case 'discover': {
      // Commands of rare use are loaded by whoever wants them: the agent's start does not grow by them.
      const { runDiscoverCommand } = await import('./cli/discover-command.ts');
      const asked = await prepareAskingProviders(providers, invocation.configuration);
      return runDiscoverCommand(invocation, { providers: asked, clock: systemClock, env, stdout, stderr });
    }
    case 'doctor': {
      const { runDoctorCommand } = await import('./cli/doctor-command.ts');
      const asked = await prepareAskingProviders(providers, invocation.configuration);
      return runDoctorCommand(invocation, { providers: asked, clock: systemClock, env, stdout, stderr });
    }
    case 'provider-check': {
      const { runProviderCheckCommand } = await import('./cli/provider-check-command.ts');
      const io = { providers, clock: systemClock, env, stdout, stderr };
      return runProviderCheckCommand(invocation.arguments, io);
    }
    case 'calls': {
      const { runCallsCommand } = await import('./cli/calls-command.ts');
      const json = invocation.arguments.includes('--json');
      return runCallsCommand({ stdout, stderr, stateDir: invocation.configuration.stateDirectory, json });
    }
    case 'drain': {
      const { runDrainCommand } = await import('./cli/drain-command.ts');
      return runDrainCommand({ stdout, stderr, stateDir: invocation.configuration.stateDirectory });
    }
    case 'record': {
      const { runRecordCommand } = await import('./cli/record-command.ts');
      const { stateDirectory: stateDir } = invocation.configuration;
      return runRecordCommand(invocation.arguments, { stdout, stderr, stateDir });
    }
    case 'run':
      return run(invocation);
  }
}

/** Whatever still holds the process after its end (a reader that stands still, a plugin) holds it no longer. */
const leaveAfterMs = 3000;
const leaveSoon = (): NodeJS.Timeout => setTimeout(() => process.exit(), leaveAfterMs).unref();

async function run({ source, configuration, warnings }: RunInvocation): Promise<number> {
  const stops = new StopSignals();
  const starting = new AbortController();
  let agent: Agent | undefined;
  let reloads = false;
  // Before the start: left alone, they would end the process.
  process.on('SIGUSR2', () => agent && log.info(agent.state(), 'state'));
  process.on('SIGHUP', () => {
    if (process.stdout.isTTY) {
      // At a terminal it says that the terminal is gone.
      if (agent) agent.drain.ask('SIGHUP');
      else starting.abort();
    } else if (agent) void agent.reload();
    else reloads = true;
  });
  let leaving: NodeJS.Timeout | undefined;
  stops.first = () => {
    starting.abort();
    leaving = leaveSoon();
  };
  const log = await createLog(configuration.logLevel);
  for (const warning of warnings) log.warn(warning);
  try {
    agent = await Agent.start({
      configuration: source,
      providers: await prepareProviders(providers, configuration),
      log,
      clock: systemClock,
      env: process.env,
      signal: starting.signal,
    });
  } catch (error) {
    if (!starting.signal.aborted) throw error;
    log.info('stopped before it had started');
    return 0;
  }
  clearTimeout(leaving);
  showStatus(
    {
      version: readVersion(),
      listeners: agent.listeners,
      topology: agent.topology,
      domains: agent.configuration.domains,
      readyAfterMs: performance.now(),
    },
    agent.newAccounts,
    log,
  );
  if (reloads) void agent.reload();
  const control = await openControl(agent, log);
  await notifyServiceManager('READY=1');
  const watchdogMs = watchdogIntervalMs();
  const watchdog =
    watchdogMs === undefined
      ? undefined
      : setInterval(() => void notifyServiceManager('WATCHDOG=1'), watchdogMs);
  const unwatch = agent.drain.watch(tellServiceManager());
  // Ctrl-C comes from a person who waits.
  stops.first = (signal) => agent.drain.ask(signal, signal === 'SIGINT' ? 5000 : undefined);
  await Promise.race([agent.drain.ended, stops.second]);
  unwatch();
  log.info('stopping');
  await notifyServiceManager('STOPPING=1');
  clearInterval(watchdog);
  leaveSoon();
  await agent.close();
  log.info('stopped');
  control?.close();
  return 0;
}

/** Without it the agent serves all the same: only the commands do not reach it. */
async function openControl(agent: Agent, log: Logger): Promise<ControlSocket | undefined> {
  try {
    // After the start, which it does not make longer.
    const { ControlSocket } = await import('./agent/control-socket.ts');
    const { stateDirectory } = agent.configuration;
    return await ControlSocket.open(stateDirectory, agent, systemClock);
  } catch (error) {
    log.warn(
      { err: error },
      'there is no control socket: "cloudsip drain" and other commands do not reach this agent',
    );
    return undefined;
  }
}

type RunInvocation = Extract<Awaited<ReturnType<typeof readConfiguration>>, { kind: 'run' }>;

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof CloudsipError)) throw error;
  process.stderr.write(`cloudsip: ${harmless(error.message)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
