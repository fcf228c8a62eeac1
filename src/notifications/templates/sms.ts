import { httpsUrl } from "../../carriers/httpsUrl.ts";
import type { Message, Person } from "../message.ts";
import { isTogether } from "./email.ts";
import { languageOf } from "./languages.ts";
import { sentenceOf, titleOf } from "./sentence.ts";

/** The GSM 7 bit alphabet, and the signs of its extension, which take two places (3GPP TS 23.038, 6.2.1). */
const GSM =
  /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/;
const EXTENSION = /[\^{}\\[~\]|€]/g;

/** Two segments of a joined text message (3GPP TS 23.040, 9.2.3.24.1): 2 × 153 septets, 2 × 67 UTF-16 units. */
const SEPTETS = 306;
const UTF16_UNITS = 134;

/** Title lengths that are tried, the longest first. Chosen: the sentence and the page remain whole. */
const TITLE_LENGTHS = [200, 120, 80, 60, 40, 25, 15, 8];

/** Whether a text takes at most two segments. */
export function fitsTwoSegments(text: string): boolean {
  return GSM.test(text)
    ? text.length + (text.match(EXTENSION)?.length ?? 0) <= SEPTETS
    : text.length <= UTF16_UNITS;
}

/**
 * A text message of kind news, digest, test or verification: at most two
 * segments, the title shortened for it. It has no word and no link of a
 * carrier's answer: a title, the stage in our words, and the carrier's usual
 * page, which is ours. The page is left out where there is no room.
 */
export function smsOf(message: Message & { readonly person: Person }): string {
  const { kind, news, person, code } = message;
  const { sentences, status } = languageOf(person.language);
  if (kind === "test") return sentences.test();
  if (kind === "verification") return sentences.verification(code ?? "");
  const [first] = news;
  if (first === undefined) return sentences.several(0);
  const page =
    new Set(news.map(({ parcel }) => parcel.usualPage)).size === 1
      ? httpsUrl(first.parcel.usualPage)
      : null;
  const sentence = (titleLength: number): string =>
    news.length === 1
      ? sentenceOf(first, person.language, { isDetailed: false, titleLength })
      : isTogether(news)
        ? sentences.together(news.length, titleOf(first, titleLength), status(first.status))
        : [
            `${sentences.several(new Set(news.map(({ book }) => book.id)).size)}.`,
            `${sentenceOf(first, person.language, { isDetailed: false, titleLength })},`,
            `${sentences.more(news.length - 1)}.`,
          ].join(" ");
  return (
    longestFit(sentence, page === null ? "" : ` ${page}`) ??
    longestFit(sentence, "") ??
    sentences.several(news.length)
  );
}

function longestFit(sentence: (titleLength: number) => string, end: string): string | undefined {
  return TITLE_LENGTHS.map((length) => sentence(length) + end).find(fitsTwoSegments);
}
