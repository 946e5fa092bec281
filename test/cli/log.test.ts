import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { createLog, type LogOutput } from '../../src/cli/log.ts';
import { redactLine } from '../../src/cli/redaction.ts';

interface Collected extends LogOutput {
  readonly text: () => string;
}

function collect(isTTY: boolean): Collected {
  let all = '';
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      all += chunk;
      done();
    },
  });
  return Object.assign(stream, { isTTY, text: () => all });
}

const module = join(import.meta.dirname, '../../src/cli/log.ts');

/** Runs a program whose standard output is a pipe. */
async function runProgram(program: string): Promise<{ stdout: string; code: number }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return { stdout, code: code as number };
}

const password = 'never-to-be-seen';
const register = `REGISTER sip:example.com SIP/2.0\r\nAuthorization: Digest username="alice",\r\n response="${password}"\r\nProxy-Authorization : Digest ${password}\r\nCall-ID: 1\r\n\r\n`;

describe('the log', () => {
  test('is JSON lines with words for levels where nobody looks on', async () => {
    const output = collect(false);
    const log = await createLog('info', output);
    log.debug('left out');
    log.info({ transport: 'udp' }, 'listening');
    log.error(new Error('boom'));
    const [info, error, ...rest] = output
      .text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([info?.['level'], info?.['transport'], info?.['msg']], ['info', 'udp', 'listening']);
    assert.match(String(info?.['time']), /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual([error?.['level'], error?.['msg']], ['error', 'boom']);
    assert.deepEqual(rest, []);
  });

  test('is for reading on a terminal, without pid and host name', async () => {
    const output = collect(true);
    const log = await createLog('debug', output);
    log.debug({ transport: 'udp' }, 'listening');
    const plain = output.text().replace(/\x1b\[\d+m/g, '');
    assert.match(plain, /^\[\d\d:\d\d:\d\d\.\d{3}\] DEBUG: listening \{"transport":"udp"\}\n$/);
  });

  for (const isTTY of [true, false]) {
    const where = isTTY ? 'on a terminal' : 'in JSON lines';
    const secrets: [string, object, string?][] = [
      ['a password', { password }],
      ['a password deep inside', { account: { of: [{ the: { userPassword: password } }] } }],
      ['a header of any case', { headers: { 'Proxy-Authorization': [password] } }],
      ['a token of a metadata service', { headers: { 'X-aws-ec2-metadata-token': password } }],
      ['a whole message', { text: register }],
      ['a whole message as the line', {}, register],
      ['a URI', { contact: `<sip:alice:${password}@203.0.113.5:5060>` }],
      ['an error', { err: new Error(`cannot use sip:alice:${password}@203.0.113.5`) }],
    ];
    for (const [name, details, message = 'received'] of secrets) {
      test(`leaves out ${name} ${where}`, async () => {
        const output = collect(isTTY);
        const log = await createLog('info', output);
        log.info(details, message);
        assert.match(output.text(), /\[redacted\]/);
        assert.doesNotMatch(output.text(), new RegExp(password));
      });
    }
  }

  test('leaves the rest of a message with credentials as it is', async () => {
    const output = collect(false);
    (await createLog('info', output)).info({ text: register }, 'received');
    const { text } = JSON.parse(output.text()) as { text: string };
    assert.match(text, /^REGISTER sip:example\.com SIP\/2\.0\r\nAuthorization: \[redacted\]\r\n/);
    assert.match(text, /\r\nCall-ID: 1\r\n\r\n$/);
  });

  test('does not take ports and users without a password for secrets', async () => {
    const output = collect(false);
    (await createLog('info', output)).info(
      { via: 'sip:203.0.113.5:5060', to: 'sip:alice@203.0.113.5:5060' },
      'sent',
    );
    assert.doesNotMatch(output.text(), /redacted/);
  });

  test('the network cannot steer the terminal', async () => {
    const output = collect(true);
    const log = await createLog('info', output);
    log.info({ from: '\x1b]0;owned\x07' }, 'from \x1b[2J \x9b2J and C:\\u001b');
    const text = output.text();
    assert.doesNotMatch(text, /\x1b\[2J|\x1b\]|\x9b|\x07/);
    assert.ok(text.includes('C:\\u001b'), 'a backslash that the sender wrote is no escape');
  });

  test('a long hostile text is looked through in no time', () => {
    for (const part of ['sip:a', 'sip:x:', 'sip:x:y', 'authorization:', 'authorization \r\n ']) {
      const line = JSON.stringify({ msg: part.repeat(Math.ceil(65_536 / part.length)) });
      const before = process.cpuUsage();
      redactLine(line);
      const { user } = process.cpuUsage(before);
      assert.ok(user < 250_000, `${part} took ${user} µs of CPU time`);
    }
  });

  test('tells how many lines it dropped because nobody read them', async () => {
    const program = `import { createLog } from ${JSON.stringify(module)};
      const log = await createLog('info');
      for (let line = 0; line < 3000; line++) log.info({ line, text: 'x'.repeat(4000) }, 'line');`;
    const lines = (await runProgram(program)).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { dropped?: number });
    const dropped = lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    assert.ok(dropped > 0, 'three times the bound was logged at once');
    assert.equal(lines.filter((line) => line.dropped === undefined).length + dropped, 3000);
  });

  test('holds up no exit, neither by a reader that stands still nor by a full disk', async () => {
    const program = `import { createLog } from ${JSON.stringify(module)};
      const log = await createLog('info');
      for (let line = 0; line < 1000; line++) log.info({ line, text: 'x'.repeat(4000) }, 'line');
      setTimeout(() => {
        log.info('and goes on');
        process.exit(3);
      }, 200);`;
    const full = openSync('/dev/full', 'w');
    try {
      for (const stdout of ['pipe', full] as const) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
          stdio: ['ignore', stdout, 'inherit'],
          timeout: 10_000,
          killSignal: 'SIGKILL',
        });
        assert.deepEqual(await once(child, 'exit'), [3, null]);
      }
    } finally {
      closeSync(full);
    }
  });

  test('what was logged before the process exits is written, to a pipe too', async () => {
    const program = `import { createLog } from ${JSON.stringify(module)};
      const log = await createLog('info');
      for (let line = 0; line < 1000; line++) log.info({ line }, 'line');
      process.exit(3);`;
    const { stdout, code } = await runProgram(program);
    assert.equal(code, 3);
    assert.equal(stdout.trim().split('\n').length, 1000);
  });
});
