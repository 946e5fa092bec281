type Stop = 'SIGTERM' | 'SIGINT';

/** SIGTERM and SIGINT: the first is a wish, and may come before anybody can hear it; the second is meant. */
export class StopSignals {
  /** Resolves with the second signal. */
  readonly second: Promise<Stop>;
  #asked: Stop | undefined;
  #first: ((signal: Stop) => void) | undefined;

  constructor(process: Pick<NodeJS.EventEmitter, 'on'> = globalThis.process) {
    const { promise, resolve } = Promise.withResolvers<Stop>();
    this.second = promise;
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (this.#asked) resolve(name);
        else {
          this.#asked = name;
          this.#first?.(name);
        }
      });
    }
  }

  set first(hear: (signal: Stop) => void) {
    this.#first = hear;
    if (this.#asked) hear(this.#asked);
  }
}
