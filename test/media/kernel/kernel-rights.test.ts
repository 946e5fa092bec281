import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { needsRoot } from '../../support/privileged.ts';
import { Program } from '../../support/process.ts';

const relayProcess = join(import.meta.dirname, 'kernel-process.ts');

/** Runs a relay with these capabilities and no other, as systemd's unit does. */
function relayWith(t: TestContext, capabilities: readonly string[], forwarder: string): Program {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const program = new Program('setpriv', [
    `--bounding-set=${set}`,
    process.execPath,
    relayProcess,
    forwarder,
  ]);
  t.after(() => program.stop());
  return program;
}

describe('the rights that the kernel asks for', needsRoot, () => {
  for (const [capabilities, missing] of [
    [[], 'CAP_NET_ADMIN and CAP_BPF'],
    [['net_admin'], 'CAP_BPF'],
    [['bpf'], 'CAP_NET_ADMIN'],
  ] as const) {
    it(`without ${missing} media stays in user space, and one line says why`, async (t) => {
      const program = relayWith(t, capabilities, 'auto');
      await program.line(/^ready koffi$/);
      const said = program.lines.filter((line) => line.includes('media is forwarded'));
      assert.equal(said.length, 1);
      const prefix = 'media is forwarded in user space, by system calls (koffi): this process lacks';
      assert.ok(said[0]?.startsWith(`${prefix} ${missing} (`), said[0]);
    });
  }

  for (const forwarder of ['kernel', 'kernel-xdp']) {
    it(`CAP_BPF and CAP_NET_ADMIN are enough for ${forwarder}`, async (t) => {
      const program = relayWith(t, ['bpf', 'net_admin'], forwarder);
      await program.line(new RegExp(`^ready ${forwarder}$`));
    });
  }

  it('are an error where nothing but the kernel will do', async (t) => {
    const program = relayWith(t, [], 'kernel');
    const { exitCode } = await program.exited;
    assert.notEqual(exitCode, 0);
    assert.match(program.output, /media\.forwarder-unavailable/);
    assert.match(program.output, /this process lacks CAP_NET_ADMIN and CAP_BPF/);
  });
});
