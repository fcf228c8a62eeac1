import { httpsUrl } from "../../carriers/httpsUrl.ts";
import type { Message, News, Person } from "../message.ts";
import { type Html, html } from "./html.ts";
import { inert } from "./inert.ts";
import { languageOf } from "./languages.ts";
import { sentenceOf, titleOf } from "./sentence.ts";
import { type Calendar, calendarOf, estimateOf, timeOf } from "./times.ts";

/** Characters of a title in a subject. Chosen: what programs show of a subject, and a sentence around it. */
const TITLE_IN_SUBJECT = 120;

/** What an email says. `html` is a whole document; nothing in it is loaded from elsewhere. */
export interface EmailText {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** A line with its label, and where it leads. */
interface Fact {
  readonly label: string;
  readonly text: string;
  readonly href?: string;
}

interface Section {
  readonly sentence: string;
  readonly facts: readonly Fact[];
}

/**
 * An email of a message of kind news, digest, test or endpoint_disabled, in the
 * person's language. `unsubscribeUrl`, where there is one, stands at its end.
 */
export function emailOf(
  message: Message & { readonly person: Person },
  unsubscribeUrl: string | null,
): EmailText {
  const language = languageOf(message.person.language);
  const sections = sectionsOf(message);
  const subject = subjectOf(message);
  return {
    subject,
    text: [
      ...sections.map(({ sentence, facts }) =>
        [sentence, ...facts.map(({ label, text, href }) => `${label}: ${href ?? text}`)].join("\n"),
      ),
      [
        language.why(),
        ...(unsubscribeUrl ? [`${language.unsubscribe()}: ${unsubscribeUrl}`] : []),
      ].join("\n"),
    ].join("\n\n"),
    html: html`<!doctype html>
<html lang="${language.tag}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${subject}</title></head>
<body style="font-family: sans-serif; line-height: 1.4; max-width: 40em">
${sections.map(sectionHtml)}
<p style="color: #666; font-size: small">${language.why()}${unsubscribeUrl === null ? null : html`<br><a href="${unsubscribeUrl}">${language.unsubscribe()}</a>`}</p>
</body>
</html>
`.toString(),
  };
}

function sectionHtml({ sentence, facts }: Section): Html {
  return html`<h2 style="font-size: 1.1em">${sentence}</h2>
<table style="border-spacing: 0">
${facts.map(
  ({ label, text, href }) =>
    html`<tr><th style="text-align: left; vertical-align: top; padding-right: 1em">${label}</th><td>${href === undefined ? text : html`<a href="${href}" rel="noopener noreferrer nofollow">${text}</a>`}</td></tr>
`,
)}</table>
`;
}

function subjectOf({ kind, news, person }: Message & { readonly person: Person }): string {
  const { sentences, status } = languageOf(person.language);
  if (kind === "test") return sentences.test();
  if (kind === "endpoint_disabled") return sentences.endpointDisabled();
  const [first] = news;
  if (first === undefined) return sentences.several(0);
  if (news.length === 1)
    return sentenceOf(first, person.language, {
      isDetailed: false,
      titleLength: TITLE_IN_SUBJECT,
    });
  return isTogether(news)
    ? sentences.together(news.length, titleOf(first, TITLE_IN_SUBJECT), status(first.status))
    : sentences.several(new Set(news.map(({ book }) => book.id)).size);
}

/** Whether one sentence serves all: one parcel, one stage. */
export function isTogether(news: readonly News[]): boolean {
  return (
    new Set(news.map((n) => `${n.parcel.id} ${n.kind} ${n.status}`)).size === 1 &&
    news[0]?.kind === "stage"
  );
}

function sectionsOf({
  kind,
  news,
  person,
  endpoint,
}: Message & { readonly person: Person }): Section[] {
  const language = languageOf(person.language);
  if (kind === "test") return [{ sentence: language.sentences.test(), facts: [] }];
  if (kind === "endpoint_disabled")
    return [
      {
        sentence: language.sentences.endpointDisabled(),
        facts: [
          // The host only: what follows it may be a secret.
          fact(language.labels.webhook, inert(URL.parse(endpoint?.url ?? "")?.host ?? null)),
          fact(language.labels.description, inert(endpoint?.description ?? null)),
          fact(language.labels.status, language.endpointReason(endpoint?.disabledReason ?? null)),
        ].flat(),
      },
    ];
  const calendar = calendarOf(language, person.language, person.timeZone);
  return news.map((n) => ({
    sentence: sentenceOf(n, person.language, { isDetailed: false }),
    facts: factsOf(n, calendar),
  }));
}

function factsOf(news: News, calendar: Calendar): Fact[] {
  const { labels, status } = calendar.language;
  const { parcel } = news;
  const page = httpsUrl(parcel.trackingPage);
  return [
    fact(labels.status, status(news.status)),
    fact(labels.place, inert(news.location)),
    fact(labels.time, timeOf(news, calendar)),
    fact(labels.estimate, estimateOf(news, calendar)),
    fact(labels.detail, inert(news.detail)),
    fact(labels.carrier, inert(parcel.carrierName)),
    fact(labels.trackingNumber, inert(parcel.trackingNumber)),
    page === null ? [] : [{ label: labels.page, text: new URL(page).host, href: page }],
  ].flat();
}

/** Nothing where there is no text. */
function fact(label: string, text: string | null): Fact[] {
  return text === null ? [] : [{ label, text }];
}
