/**
 * `npm run build:bpf`: turns src/media/kernel/relay.bpf.c into src/media/kernel/programs.ts, with Debian's clang
 * 19. The same source gives the same bytes on every machine; test/media/kernel/programs.test.ts holds to it.
 */
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './process.ts';

const room = join(import.meta.dirname, '../../src/media/kernel');
export const programsFile: string = join(room, 'programs.ts');
/** The newest that Debian 12 and 13 both have: another version may write other instructions. */
const compiler = 'clang-19';
const sections = ['tcx', 'xdp'] as const;
const instructionBytes = 8;

/** The text of programs.ts, compiled anew. */
export async function buildRelayProgram(): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'cloudsip-bpf-'));
  try {
    const object = join(scratch, 'relay.o');
    await runProgram(compiler, [
      ...['-target', 'bpfel', '-mcpu=v3', '-O2', '-Wall', '-Wextra', '-Werror'],
      ...['-c', join(room, 'relay.bpf.c'), '-o', object],
    ]);
    const elf = readSections(await readFile(object));
    return generated(elf);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function generated(elf: ReadonlyMap<string, Buffer>): string {
  const programs = sections.map((name) => {
    const instructions = elf.get(name);
    const relocations = elf.get(`.rel${name}`);
    if (!instructions || !relocations)
      throw new Error(`expected ${compiler} to write a section ${name}, and it wrote none`);
    // Elf64_Rel: offset, then information. The program refers to nothing but its map.
    const references: number[] = [];
    for (let at = 0; at < relocations.length; at += 16) {
      references.push(Number(relocations.readBigUInt64LE(at)) / instructionBytes);
    }
    return `export const ${name}Program: BpfProgram = {
  instructions: Buffer.from(
    '${instructions.toString('base64')}',
    'base64',
  ),
  mapReferences: [${references.join(', ')}],
};
`;
  });
  return `// Made of relay.bpf.c by "npm run build:bpf"; do not edit.
import type { BpfProgram } from './bpf.ts';

${programs.join('\n')}`;
}

/** The sections of an ELF object of 64 bits, little-endian, by name. */
function readSections(elf: Buffer): Map<string, Buffer> {
  const headers = Number(elf.readBigUInt64LE(0x28));
  const headerBytes = elf.readUInt16LE(0x3a);
  const count = elf.readUInt16LE(0x3c);
  const content = (index: number): Buffer => {
    const at = headers + index * headerBytes;
    const offset = Number(elf.readBigUInt64LE(at + 0x18));
    return elf.subarray(offset, offset + Number(elf.readBigUInt64LE(at + 0x20)));
  };
  const names = content(elf.readUInt16LE(0x3e));
  const found = new Map<string, Buffer>();
  for (let index = 0; index < count; index++) {
    const name = names.subarray(elf.readUInt32LE(headers + index * headerBytes));
    found.set(name.toString('latin1', 0, name.indexOf(0)), content(index));
  }
  return found;
}

if (import.meta.main) writeFileSync(programsFile, await buildRelayProgram());
