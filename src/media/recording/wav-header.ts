export const wavHeaderBytes = 44;
/** What a header's 32 bits can count, in whole samples: 18 hours at 16,000 a second. What follows is not counted. */
const mostBytes = 4 * Math.floor((0xffff_ffff - wavHeaderBytes) / 4);

/** The header of a file of 16-bit PCM with two channels, left and right. */
export function wavHeader(sampleRate: number, dataBytes: number): Buffer {
  const size = Math.min(dataBytes, mostBytes);
  const header = Buffer.alloc(wavHeaderBytes);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(size + wavHeaderBytes - 8, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 4, 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(size, 40);
  return header;
}
