/**
 * What a cloud, a tag or another program wrote, made safe to print: nothing in it commands the terminal or turns the
 * direction of what follows. Line breaks stay.
 */
export function harmless(text: string): string {
  return text.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
}

/** The same where it has to stay on its line. */
export function harmlessInLine(text: string): string {
  return harmless(text).replaceAll('\n', ' ');
}
