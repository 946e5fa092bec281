import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { openControlPath } from './control-path.ts';

/** Says a word to the running agent and gives what it answers, line by line. Rejects where none is reached. */
export async function* askAgent<Line>(stateDir: string, word: string): AsyncIterable<Line> {
  using place = openControlPath(stateDir);
  const socket = connect(place.path);
  try {
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => socket.destroy());
    socket.write(`${word}\n`);
    for await (const line of createInterface({ input: socket })) yield JSON.parse(line) as Line;
  } finally {
    socket.destroy();
  }
}
