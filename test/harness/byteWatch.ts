/** How much of what went by is kept for a pattern that spans two chunks. Chosen: longer than any SQL text a test looks for. */
const PATTERN_TAIL = 16_384;

/**
 * Looks for `match` in bytes that arrive in chunks of any size: an exact
 * string, or a pattern over bytes read as Latin-1. Gives what it found, or
 * null. Each occurrence is found once; of several in one chunk, the first.
 */
export function createByteWatch(match: string | RegExp): (bytes: Buffer) => string | null {
  // What is looked for is written as the wire has it: UTF-8, one character a byte.
  const text = typeof match === "string" ? Buffer.from(match).toString("latin1") : null;
  // Without g and y, which make a pattern remember where it was.
  const pattern =
    typeof match === "string" ? null : new RegExp(match, match.flags.replace(/[gy]/g, ""));
  const keep = text === null ? PATTERN_TAIL : text.length - 1;
  let tail = "";
  return (bytes) => {
    const seen = tail + bytes.toString("latin1");
    const found = pattern
      ? (pattern.exec(seen)?.[0] ?? null)
      : seen.includes(text ?? "")
        ? text
        : null;
    // What was found must not be found again.
    tail = found !== null || keep === 0 ? "" : seen.slice(-keep);
    return found;
  };
}
