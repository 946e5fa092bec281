import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { LabError } from './lab-error.ts';

// Reads until the pipe closes, whoever closes it and why: an orderly end and a SIGKILL look the same here,
// so the way that matters is taken by every test. Arguments: directory, then namespaces.
const script = `
echo watching
cat > /dev/null
directory=$1; shift
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for namespace in "$@"; do
    for pid in $(ip netns pids "$namespace" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; found=1; done
  done
  [ -z "$found" ] && break
done
rm -rf -- "$directory"
for namespace in "$@"; do ip netns delete "$namespace" 2>/dev/null; done
`;

/** A process of its own session that takes the laboratory down when its builder closes it, ends or is killed. */
export class Watchdog {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'close');
  }

  /** Resolves when it watches; the namespaces may be made afterwards. */
  static async start(directory: string, namespaces: readonly string[]): Promise<Watchdog> {
    const child = spawn('sh', ['-c', script, 'lab-watchdog', directory, ...namespaces], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
    });
    const watchdog = new Watchdog(child);
    const outcome: unknown[] = await Promise.race([
      once(child.stdout!, 'data'),
      watchdog.#ended.then(() => []),
    ]);
    if (outcome.length === 0)
      throw new LabError('the watchdog of the laboratory ended at once: is sh missing?');
    // It must not keep the test process alive: forgetting to close a laboratory then still removes it.
    child.unref();
    for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref(): void }).unref();
    return watchdog;
  }

  /** Takes everything down and waits until it is gone. */
  async close(): Promise<void> {
    this.#child.ref();
    (this.#child.stdout as unknown as { ref(): void }).ref();
    this.#child.stdin?.end();
    await this.#ended;
  }
}
