export type CommandName =
  | 'user'
  | 'discover'
  | 'doctor'
  | 'calls'
  | 'drain'
  | 'record'
  | 'provider-check'
  | 'help';

/** What can be asked for besides running. `main.ts` runs it; the help and the command line know it from here. */
export interface Command {
  readonly name: CommandName;
  /** What may follow the name, for the help. */
  readonly form: string;
  readonly summary: string;
  /** Which of the agent's options it takes, before or after its name. */
  readonly options: 'all' | 'shared';
  /** Its own flags, without values; absent where all that follows is its own matter, `--help` included. */
  readonly flags?: readonly string[];
}

export const commands: readonly Command[] = [
  { name: 'user', form: '...', summary: "The accounts: 'cloudsip user --help'.", options: 'shared' },
  {
    name: 'discover',
    form: '[--json]',
    summary: 'Ask the cloud as the agent would, and show what it says.',
    options: 'all',
    flags: ['--json'],
  },
  {
    name: 'doctor',
    form: '[--json]',
    summary: 'Check why packets may not arrive: the cloud, the network, this machine.',
    options: 'all',
    flags: ['--json'],
  },
  {
    name: 'calls',
    form: '[--json]',
    summary: 'Show the calls in progress and how their media fares.',
    options: 'shared',
    flags: ['--json'],
  },
  {
    name: 'drain',
    form: '',
    summary: 'Take no new calls, wait for those in progress, end the running agent.',
    options: 'shared',
    flags: [],
  },
  {
    name: 'record',
    form: 'CALL-ID [on|off]',
    summary: 'Record a call of the running agent from now on, or end that.',
    options: 'shared',
  },
  {
    name: 'provider-check',
    form: 'PROVIDER [--json]',
    summary: 'Run a provider, one of your own say, and check that it keeps the contract.',
    options: 'shared',
  },
  { name: 'help', form: '', summary: 'This text.', options: 'shared' },
];
