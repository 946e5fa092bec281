/** Static payload types (RFC 3551 6), which need no rtpmap. */
const staticNames: Readonly<Record<number, string>> = {
  0: 'PCMU',
  3: 'GSM',
  4: 'G723',
  8: 'PCMA',
  9: 'G722',
  13: 'CN',
  15: 'G728',
  18: 'G729',
  26: 'JPEG',
  31: 'H261',
  34: 'H263',
};

/** The name of the codec of a payload type; undefined where nobody told it. */
export function codecName(
  type: number,
  formats: ReadonlyMap<number, { readonly encoding: string }> | undefined,
): string | undefined {
  return formats?.get(type)?.encoding ?? staticNames[type];
}
