import {
  Program,
  type ProgramOptions,
  type RunOptions,
  type RunResult,
  runProgram,
} from '../support/process.ts';
import { type LabSocket, openLabSocket } from './lab-socket.ts';
import { insideNamespace } from './network-namespace.ts';
import type { HostSpec } from './topology.ts';

/** A machine of the laboratory. */
export class LabHost {
  readonly name: string;
  /** Name of its network namespace. */
  readonly namespace: string;
  readonly spec: HostSpec;
  /** A temporary directory that goes with the laboratory. */
  readonly directory: string;
  /** First address of the first interface. */
  readonly address: string;

  constructor(name: string, namespace: string, spec: HostSpec, directory: string) {
    this.name = name;
    this.namespace = namespace;
    this.spec = spec;
    this.directory = directory;
    this.address = spec.interfaces[0]?.addresses[0]?.split('/')[0] ?? '127.0.0.1';
  }

  /** Starts a program on this machine; `pid` is the program's own. It dies with the laboratory at the latest. */
  spawn(command: string, args: readonly string[], options: ProgramOptions = {}): Program {
    const words = ['netns', 'exec', this.namespace, command, ...args];
    return new Program('ip', words, options, `${command} on ${this.name}`);
  }

  /** Runs a command on this machine to its end; rejects when it fails, unless `allowFailure`. */
  run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runProgram('ip', ['netns', 'exec', this.namespace, command, ...args], options);
  }

  /** Runs a synchronous function of the test process in this machine's network. */
  inside<T>(action: () => T): T {
    return insideNamespace(this.namespace, action);
  }

  /** A UDP socket of the test process in this machine's network; port 0 takes a free one. */
  openUdp(address: string = this.address, port = 0): Promise<LabSocket> {
    return openLabSocket(this.namespace, address, port);
  }
}
