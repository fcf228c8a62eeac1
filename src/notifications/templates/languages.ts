import { en } from "./en.ts";
import type { Language } from "./language.ts";

/** By tag, in lower case. */
const LANGUAGES: ReadonlyMap<string, Language> = new Map(
  [en].map((language) => [language.tag.toLowerCase(), language]),
);

/** The language of a BCP 47 tag: itself, else with the last part left out, and so on; else English (pt-BR → pt → en). */
export function languageOf(
  tag: string,
  languages: ReadonlyMap<string, Language> = LANGUAGES,
): Language {
  const parts = tag.toLowerCase().split("-");
  while (parts.length > 0) {
    const language = languages.get(parts.join("-"));
    if (language !== undefined) return language;
    parts.pop();
  }
  return en;
}
