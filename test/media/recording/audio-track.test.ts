import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AudioTrack } from '../../../src/media/recording/audio-track.ts';

const pcmu = { encoding: 'PCMU', clockRate: 8000, channels: 1 };

test('large packets wait up to so many bytes, and room comes back when they are written', () => {
  const track = new AudioTrack();
  const large = new Uint8Array(65_000);
  for (let n = 0; n < 100; n++) track.add(0, 1, n * 80, pcmu, large);
  assert.equal(track.late, 84);
  track.render(2, 8000, () => {});
  track.add(2, 1, 2 * 8000, pcmu, large);
  assert.equal(track.late, 84);
});
