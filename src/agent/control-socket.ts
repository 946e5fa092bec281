import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { openControlPath } from '../cli/control-path.ts';
import { CloudsipError } from '../error.ts';
import type { Clock } from '../net/clock.ts';
import type { Drain } from './drain.ts';

/** With a Call-ID in it. */
const longestCommand = 600;
const mostConnections = 16;
/** Who says nothing for so long, or does not hang up, makes room. */
const idleMs = 5000;

const linesAtOnce = 50;

/** What the commands reach. */
export interface Controlled {
  readonly drain: Drain;
  /** See `callLines`. */
  calls(): Iterable<object>;
  /** Begins or ends the recording of a call; false where there is none. */
  record(callId: string, wanted: boolean): boolean;
}

/**
 * Where the commands of the same machine reach the running agent: a socket in the state directory, for its owner
 * alone. `drain` begins the drain and is answered with a line of JSON for each step until the process ends; `calls`
 * with a line for each call in progress; `record on CALL-ID`, or `off`, with one line that says whether the call is recorded now.
 */
export class ControlSocket {
  readonly #server: Server;
  readonly #place: Disposable & { readonly path: string };
  readonly #connections = new Set<Socket>();

  private constructor(server: Server, place: Disposable & { readonly path: string }) {
    this.#server = server;
    this.#place = place;
  }

  /** Rejects with a CloudsipError (`control.taken`) where another agent has the directory, or with the system's error. */
  static async open(stateDirectory: string, agent: Controlled, clock: Clock): Promise<ControlSocket> {
    const place = openControlPath(stateDirectory);
    const { path } = place;
    const server = createServer();
    const control = new ControlSocket(server, place);
    server.maxConnections = mostConnections;
    server.on('connection', (socket) => control.#serve(socket, agent, clock));
    try {
      if (await answers(path)) {
        throw new CloudsipError(
          'control.taken',
          `another agent runs with the state directory ${stateDirectory}, so "cloudsip drain" reaches that one: give each its own --state-dir`,
        );
      }
      // What an agent left that was killed.
      rmSync(path, { force: true });
      await listen(server, path);
    } catch (error) {
      server.close();
      place[Symbol.dispose]();
      throw error;
    }
    return control;
  }

  /** The last thing that whoever waits here sees is the end of its connection. */
  close(): void {
    // Node removes the socket itself.
    this.#server.close();
    for (const socket of this.#connections) socket.end();
    this.#place[Symbol.dispose]();
  }

  #serve(socket: Socket, agent: Controlled, clock: Clock): void {
    this.#connections.add(socket);
    const idle = clock.schedule(() => socket.destroy(), idleMs);
    let command = '';
    let unwatch = (): unknown => undefined;
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#connections.delete(socket);
      clock.cancel(idle);
      unwatch();
    });
    socket.on('data', (text: string) => {
      command += text.slice(0, longestCommand);
      const end = command.indexOf('\n');
      if (end < 0 && command.length < longestCommand) return;
      socket.removeAllListeners('data').resume();
      const line = command.slice(0, end);
      const recorded = /^record (on|off) (\S+)$/.exec(line);
      if (recorded) {
        const wanted = recorded[1] === 'on';
        const reply = agent.record(recorded[2]!, wanted)
          ? { recording: wanted }
          : { error: 'expected the Call-ID of a call whose media passes here' };
        socket.end(`${JSON.stringify(reply)}\n`);
        return;
      }
      if (line === 'calls') {
        void tell(socket, agent.calls());
        return;
      }
      if (line !== 'drain') {
        socket.end(`${JSON.stringify({ error: 'expected drain, calls, or record on|off CALL-ID' })}\n`);
        return;
      }
      clock.cancel(idle);
      agent.drain.ask('cloudsip drain');
      unwatch = agent.drain.watch((progress) => {
        // Nobody reads: what waits for him stays little.
        if (socket.writableLength < 65_536) socket.write(`${JSON.stringify(progress)}\n`);
      });
    });
  }
}

/** As fast as it is read, a few lines at a time: what else there is to do goes on meanwhile. */
async function tell(socket: Socket, lines: Iterable<object>): Promise<void> {
  let count = 0;
  for (const line of lines) {
    const more = socket.write(`${JSON.stringify(line)}\n`);
    if (!more) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
    else if (++count % linesAtOnce === 0) await setImmediate();
    if (socket.destroyed) return;
  }
  socket.end();
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    // Node binds before it returns, so that the socket is never open to others.
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        chmodSync(path, 0o600);
        server.removeListener('error', reject).on('error', () => {});
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}
