import { cleanText } from "../../carriers/cleanText.ts";

/** Signs that show nothing, but for the two joiners that scripts and emoji need. */
const UNSEEN = /(?![\u200c\u200d])\p{Cf}/gu;

/** What starts a link: "https://", "//", "\\", with the scheme before it. */
const START_OF_LINK = /(?:\p{L}[\p{L}\p{N}+-]*:)?[/\\]{2,}/gu;

/** A word that programs make a link of when something without a space follows. */
const SCHEME = /\b(mailto|tel|sms|data|javascript|file|https?):(?=\S)/gi;

/** All that is read as a dot in a host's name. */
const DOT = /([.\u2024\u3002\uff0e\uff61])(?=[\p{L}\p{M}])/gu;

/** An address of four numbers. */
const FOUR_NUMBERS = /\b\d{1,3}(?:\.\d{1,3}){3}\b/g;

const AT = /\s*[@\uff20]\s*/g;

/**
 * Text of a carrier, an app or a person, made safe to stand in a message: one
 * line without signs that are unseen or turn the direction of writing, and
 * without anything that mail programs and phones make a link of by themselves.
 * Schemes are dropped and a space follows a dot before a letter ("evil. com",
 * and "Node. js" with it). A telephone number stays one. Null where nothing is
 * left. Does not escape HTML.
 */
export function inert(text: string | null): string | null {
  return cleanText(
    cleanText(text)
      ?.replaceAll(UNSEEN, "")
      .replaceAll(START_OF_LINK, " ")
      .replaceAll(SCHEME, "$1: ")
      .replaceAll(DOT, "$1 ")
      .replaceAll(FOUR_NUMBERS, (numbers) => numbers.replaceAll(".", ". "))
      .replaceAll(AT, " @ "),
  );
}
