import type { Readable, Writable } from 'node:stream';
import { AccountError } from '../account/account-error.ts';

/** Standard input as the commands see it: a terminal or anything else that can be read. */
export type Input = Readable & {
  readonly isTTY?: boolean;
  readonly isRaw?: boolean;
  setRawMode?(raw: boolean): unknown;
};

/** Far longer than a password may be; what comes behind it is refused by its length. */
const mostCharacters = 1024;

/**
 * A password from standard input: asked for without echo at a terminal, else the first line of what is piped in.
 * Undefined where it is empty. Throws AccountError `account.interrupted` where Ctrl-C is typed.
 */
export async function readPassword(
  input: Input,
  prompt: string,
  output: Writable,
): Promise<string | undefined> {
  const password = input.isTTY ? await ask(input, prompt, output) : await firstLine(input);
  return password === '' ? undefined : password;
}

async function firstLine(input: Input): Promise<string> {
  let text = '';
  input.setEncoding('utf8');
  for await (const chunk of input) {
    text += chunk as string;
    if (text.includes('\n') || text.length > mostCharacters) break;
  }
  return text.split(/\r?\n/, 1)[0]!;
}

async function ask(input: Input, prompt: string, output: Writable): Promise<string> {
  output.write(prompt);
  const before = input.isRaw ?? false;
  // Raw: the terminal echoes nothing and every key comes at once.
  input.setRawMode?.(true);
  input.setEncoding('utf8');
  let typed = '';
  try {
    for await (const chunk of input) {
      for (const key of chunk as string) {
        if (key === '\r' || key === '\n' || key === '\x04') return typed;
        if (key === '\x03') throw new AccountError('account.interrupted', 'interrupted; nothing was changed');
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (typed.length < mostCharacters) typed += key;
      }
    }
    return typed;
  } finally {
    input.setRawMode?.(before);
    output.write('\n');
  }
}
