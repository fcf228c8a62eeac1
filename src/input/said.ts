import { InputError } from "../errors.ts";

/** An optional input: undefined where it was left out, null where it is taken away. */
export type Said<T> = T | null | undefined;

/**
 * A text without white space around it; null and undefined stay what they are.
 * @throws InputError for one with nothing else in it.
 */
export function saidText(input: string, text: Said<string>): Said<string> {
  if (text === null || text === undefined) return text;
  const trimmed = text.trim();
  if (trimmed === "")
    throw new InputError(
      "EMPTY_VALUE",
      input,
      (nameOf) => `${nameOf(input)} is empty: leave it out, or give it a value.`,
    );
  return trimmed;
}
