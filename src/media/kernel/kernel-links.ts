import { existsSync } from 'node:fs';
import type { Libc } from '../../net/libc.ts';
import { Bpf, BpfError, type Hook, linkFlag } from './bpf.ts';

/** How many interfaces can carry the program. */
const maxLinks = 64;
/** An interface of this memory: its index, the descriptor of its link, and the link's flags. */
const wordsPerLink = 3;
/** The first word is how many there are. */
export const linkMemoryBytes: number = 4 * (1 + maxLinks * wordsPerLink);
/** An interface that took no program is not asked again for so long. */
const refusedMs = 60_000;
/** An interface whose program is taken away so often is left alone for a while. */
const maxRepairs = 3;

export interface Link {
  readonly ifindex: number;
  readonly fd: number;
  readonly flags: number;
}

/** The links that are open, in memory that both threads share: descriptors belong to the process. */
export function openLinks(memory: SharedArrayBuffer): Link[] {
  const words = new Int32Array(memory);
  return Array.from({ length: words[0]! }, (_, index) => {
    const at = 1 + index * wordsPerLink;
    return { ifindex: words[at]!, fd: words[at + 1]!, flags: words[at + 2]! };
  });
}

function writeLinks(memory: SharedArrayBuffer, links: readonly Link[]): void {
  const words = new Int32Array(memory);
  words[0] = links.length;
  links.forEach(({ ifindex, fd, flags }, index) => {
    words.set([ifindex, fd, flags], 1 + index * wordsPerLink);
  });
}

export interface KernelLinksOptions {
  readonly hook: Hook;
  readonly programFd: number;
  /** XDP stays out of drivers. */
  readonly genericOnly: boolean;
  readonly memory: SharedArrayBuffer;
}

/** Attaches the program to interfaces, and looks after it there. */
export class KernelLinks {
  readonly #options: KernelLinksOptions;
  readonly #libc: Libc;
  readonly #bpf: Bpf;
  readonly #say: (sentence: string) => void;
  /** By interface. */
  readonly #links = new Map<number, Link>();
  readonly #refusedUntil = new Map<number, number>();
  readonly #repairs = new Map<number, number>();

  /** Takes over what a thread before this one attached. */
  constructor(options: KernelLinksOptions, libc: Libc, say: (sentence: string) => void) {
    this.#options = options;
    this.#libc = libc;
    this.#bpf = new Bpf(libc);
    this.#say = say;
    for (const link of openLinks(options.memory)) this.#links.set(link.ifindex, link);
  }

  /** True where packets that come in by `from` can leave by `to`; attaches what is missing for it. */
  join(from: number, to: number, nameOfFrom: string, nameOfTo: string, now: number): boolean {
    const link = this.#attach(from, nameOfFrom, now);
    if (!link) return false;
    // A driver hands packets only to another one that expects them: one with the program itself.
    if (from === to || link.flags !== linkFlag.native) return true;
    return this.#attach(to, nameOfTo, now)?.flags === linkFlag.native;
  }

  /** Puts back what somebody else detached; gives the interfaces where that was not possible. */
  inspect(now: number): number[] {
    const lost: number[] = [];
    for (const link of [...this.#links.values()]) {
      if (this.#bpf.linkedInterface(link.fd) === link.ifindex) continue;
      this.#libc.close(link.fd);
      this.#links.delete(link.ifindex);
      const repairs = (this.#repairs.get(link.ifindex) ?? 0) + 1;
      this.#repairs.set(link.ifindex, repairs);
      if (repairs > maxRepairs) {
        this.#refuse(link.ifindex, now);
        this.#say(`the media program is taken off interface ${link.ifindex} again and again`);
      } else if (this.#attach(link.ifindex, String(link.ifindex), now, [link.flags])) {
        this.#say(`the media program was taken off interface ${link.ifindex} and is back`);
        continue;
      }
      lost.push(link.ifindex);
    }
    writeLinks(this.#options.memory, [...this.#links.values()]);
    return lost;
  }

  #refuse(ifindex: number, now: number): void {
    this.#refusedUntil.set(ifindex, now + refusedMs);
    this.#repairs.delete(ifindex);
  }

  #attach(
    ifindex: number,
    name: string,
    now: number,
    ways: readonly number[] = this.#ways(name),
  ): Link | undefined {
    const known = this.#links.get(ifindex);
    if (known) return known;
    if (now < (this.#refusedUntil.get(ifindex) ?? 0) || this.#links.size === maxLinks) return undefined;
    const { hook, programFd, memory } = this.#options;
    let failure: unknown;
    for (const flags of ways) {
      try {
        const link = { ifindex, fd: this.#bpf.createLink(programFd, ifindex, hook, flags), flags };
        this.#links.set(ifindex, link);
        writeLinks(memory, [...this.#links.values()]);
        return link;
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        failure =
          error.errno === 'EBUSY' ? 'another program has the place of XDP there (EBUSY)' : error.message;
      }
    }
    this.#refuse(ifindex, now);
    this.#say(`media of interface ${name} stays in user space: ${failure}`);
    return undefined;
  }

  /** Only a card has a driver worth being in: a veth drops what comes back to it unless its peer is prepared. */
  #ways(name: string): number[] {
    if (this.#options.hook === 'tcx') return [linkFlag.none];
    if (this.#options.genericOnly || !existsSync(`/sys/class/net/${name}/device`)) return [linkFlag.generic];
    return [linkFlag.native, linkFlag.generic];
  }
}
