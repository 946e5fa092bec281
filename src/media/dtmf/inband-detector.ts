/** The rows and columns of a keypad (ITU-T Q.23). */
const rowsHz = [697, 770, 852, 941];
const columnsHz = [1209, 1336, 1477, 1633];
const keys = ['123A', '456B', '789C', '*0#D'];

const sampleRate = 8000;
/** 20 ms: narrow enough to tell neighbouring tones apart. */
const windowSize = 160;
const hopSize = 80;
/** A tone may be off by 1.5 % (ITU-T Q.24): the best of three places counts. */
const detunings = [0.989, 1, 1.011];
/** Quieter than -40 dBm0 or so is nothing. */
const leastEnergy = windowSize * 100 ** 2;
/** The two tones together, of all the energy: speech and music have more beside. */
const leastShare = 0.82;
/** How much louder the row may be than the column, and the reverse (ITU-T Q.24: twist). */
const mostRowTwist = 10 ** 0.6;
const mostColumnTwist = 10 ** 0.8;
/** A tone stands out among those of its group. */
const leastLead = 6;
/** Overtones, which a voice has and a keypad has not, are less than this of both. */
const mostOvertone = 0.1;
/** Looks in a row that make a key, and that end one. */
const looksToBegin = 4;
const looksToEnd = 3;

/**
 * Keys in the audio of one stream, by Goertzel's recurrence at each tone: told once, at the end, with how long they
 * were held.
 */
export class InbandDetector {
  readonly #tell: (digit: string, durationMs: number) => void;
  readonly #window = new Float64Array(windowSize);
  #filled = 0;
  #candidate = '';
  #looks = 0;
  #key = '';
  #held = 0;
  #missed = 0;

  constructor(tell: (digit: string, durationMs: number) => void) {
    this.#tell = tell;
  }

  /** Takes samples at 8000 a second. */
  add(samples: Int16Array): void {
    for (const sample of samples) {
      this.#window[this.#filled++] = sample;
      if (this.#filled < windowSize) continue;
      this.#look(keyIn(this.#window));
      this.#window.copyWithin(0, hopSize);
      this.#filled = windowSize - hopSize;
    }
  }

  /** The stream fell silent: what is held ends. */
  finish(): void {
    if (this.#key !== '') this.#release();
  }

  #look(key: string): void {
    if (this.#key !== '') {
      this.#held++;
      if (key === this.#key) {
        this.#missed = 0;
        return;
      }
      if (++this.#missed < looksToEnd) return;
      this.#release();
    }
    this.#looks = key === this.#candidate ? this.#looks + 1 : 1;
    this.#candidate = key;
    if (key === '' || this.#looks < looksToBegin) return;
    this.#key = key;
    this.#held = this.#looks;
    this.#missed = 0;
  }

  #release(): void {
    const looks = this.#held - this.#missed;
    // The windows at both ends are half full.
    this.#tell(this.#key, Math.round((looks * hopSize * 1000) / sampleRate));
    this.#key = '';
    this.#looks = 0;
    this.#candidate = '';
  }
}

/** The key whose two tones the window is made of; '' for none. */
function keyIn(window: Float64Array): string {
  let energy = 0;
  for (const sample of window) energy += sample * sample;
  if (energy < leastEnergy) return '';
  const rows = rowsHz.map((hz) => powerAt(window, hz));
  const columns = columnsHz.map((hz) => powerAt(window, hz));
  const row = strongest(rows);
  const column = strongest(columns);
  const low = tuned(window, rowsHz[row]!);
  const high = tuned(window, columnsHz[column]!);
  if (!leads(low, rows, row) || !leads(high, columns, column)) return '';
  if (low > high * mostRowTwist || high > low * mostColumnTwist) return '';
  if (low + high < leastShare * energy) return '';
  if (powerAt(window, 2 * rowsHz[row]!) > mostOvertone * (low + high)) return '';
  if (powerAt(window, 2 * columnsHz[column]!) > mostOvertone * (low + high)) return '';
  return keys[row]![column]!;
}

function tuned(window: Float64Array, hz: number): number {
  return Math.max(...detunings.map((factor) => powerAt(window, hz * factor)));
}

function strongest(powers: readonly number[]): number {
  let best = 0;
  for (let n = 1; n < powers.length; n++) if (powers[n]! > powers[best]!) best = n;
  return best;
}

function leads(power: number, all: readonly number[], own: number): boolean {
  return all.every((other, n) => n === own || other * leastLead < power);
}

/** The energy of the window at one frequency: all of it for a pure tone. */
function powerAt(window: Float64Array, hz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / sampleRate);
  let previous = 0;
  let before = 0;
  for (const sample of window) {
    const next = sample + coefficient * previous - before;
    before = previous;
    previous = next;
  }
  const power = previous * previous + before * before - coefficient * previous * before;
  return power / (window.length / 2);
}
