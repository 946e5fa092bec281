/** An encoding as SDP names it. */
export interface AudioFormat {
  readonly encoding: string;
  /** Of the time stamps; G.722 says 8000 and has twice as many samples (RFC 3551 4.5.2). */
  readonly clockRate: number;
  readonly channels: number;
}

/** Static payload types (RFC 3551 6) that need no rtpmap. */
export const staticFormats: ReadonlyMap<number, AudioFormat> = new Map([
  [0, { encoding: 'PCMU', clockRate: 8000, channels: 1 }],
  [3, { encoding: 'GSM', clockRate: 8000, channels: 1 }],
  [4, { encoding: 'G723', clockRate: 8000, channels: 1 }],
  [8, { encoding: 'PCMA', clockRate: 8000, channels: 1 }],
  [9, { encoding: 'G722', clockRate: 8000, channels: 1 }],
  [10, { encoding: 'L16', clockRate: 44_100, channels: 2 }],
  [11, { encoding: 'L16', clockRate: 44_100, channels: 1 }],
  [13, { encoding: 'CN', clockRate: 8000, channels: 1 }],
  [15, { encoding: 'G728', clockRate: 8000, channels: 1 }],
  [18, { encoding: 'G729', clockRate: 8000, channels: 1 }],
]);
