/** As the database's checks: long enough for any scan, short enough for a message. Chosen; revisit when a carrier's text is cut. */
export const MAX_TEXT_LENGTH = 500;

/**
 * Left-to-right marks, embeddings, overrides and isolates: they reorder what
 * stands around them, so "delivered" can be made to read as something else.
 */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Control characters, NUL among them, and the two Unicode line separators. */
const BREAKS = /[\p{Cc}\u2028\u2029]/gu;

/**
 * A carrier's text made safe to store and show as plain text: well-formed
 * Unicode in NFC on one line, without control and bidi characters, at most 500
 * characters. Null where nothing is left. Does not escape HTML: whoever writes
 * HTML does.
 */
export function cleanText(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const oneLine = text
    // Nothing past this can survive the cap below, so a megabyte is not normalised for its first line.
    .slice(0, 8 * MAX_TEXT_LENGTH)
    .toWellFormed()
    .replaceAll(BIDI, "")
    .replaceAll(BREAKS, " ")
    .normalize("NFC")
    .replaceAll(/\s+/g, " ")
    .trim();
  const capped = oneLine.slice(0, MAX_TEXT_LENGTH);
  // The cap may fall between the two halves of one character.
  const whole = capped.isWellFormed() ? capped : capped.slice(0, -1);
  return whole.trimEnd() || null;
}
