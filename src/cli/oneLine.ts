/** Control characters, line separators and marks that turn the direction of writing: on a terminal they could hide or fake what is there. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** Text from outside, safe in one line of a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(UNPRINTABLE, " ").trim();
}
