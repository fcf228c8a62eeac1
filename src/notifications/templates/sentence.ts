import { inert } from "./inert.ts";
import type { Told } from "./language.ts";
import { languageOf } from "./languages.ts";
import { shorten } from "./shorten.ts";
import { calendarOf, estimateOf } from "./times.ts";

/**
 * One news in one plain sentence: what the app shows, and what every message
 * begins with. Plain text: whoever writes HTML escapes it. The carrier's words
 * only where they are wanted; a title at most as long as given.
 */
export function sentenceOf(
  news: Told,
  tag: string,
  options: { readonly isDetailed?: boolean; readonly titleLength?: number } = {},
): string {
  const language = languageOf(tag);
  const { sentences } = language;
  const title = titleOf(news, options.titleLength);
  const detail = (options.isDetailed ?? true) ? inert(news.detail) : null;
  if (news.kind === "action_required") return sentences.actionRequired(title, detail);
  if (news.kind === "estimate")
    return sentences.estimate(title, estimateOf(news, calendarOf(language, tag, "UTC")));
  if (news.status === "delivered") return sentences.delivered(title);
  if (news.status === "exception") return sentences.exception(title, detail);
  return sentences.stage(title, language.status(news.status));
}

/** A book's title as it stands in messages. */
export function titleOf(news: Pick<Told, "book">, length = 500): string {
  return shorten(inert(news.book.title) ?? "…", length);
}
