/** Shorter cuttings are copies already. */
const shortestSlice = 13;

/**
 * The same text in memory of its own. What was cut out of a longer text else keeps all of that alive: an address
 * that a call remembers the whole SIP message that it stood in.
 */
export function ownText(text: string): string {
  return text.length < shortestSlice ? text : Buffer.from(text).toString();
}
