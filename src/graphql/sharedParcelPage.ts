import type { IncomingMessage, ServerResponse } from "node:http";
import { html } from "../notifications/templates/html.ts";
import { inert } from "../notifications/templates/inert.ts";
import type { Language } from "../notifications/templates/language.ts";
import { languageOf } from "../notifications/templates/languages.ts";
import { type Calendar, calendarOf, estimateOf, timeOf } from "../notifications/templates/times.ts";
import type { SharedParcel } from "../sql/readSharedParcels.ts";
import { answer, refuse } from "./answer.ts";

/** The page needs nothing from anywhere, runs nothing, may not be framed, kept or found, and its address (with the token) is told to nobody. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-robots-tag": "noindex, nofollow, noarchive",
  vary: "accept, accept-language",
} as const;

/**
 * Answers a public link: where its parcel is, as a page, or as JSON where Accept
 * asks for that. A token that nobody has and one that no longer works get the
 * same answer, 404.
 */
export async function answerSharedParcel(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  read: (token: string) => Promise<SharedParcel | null>,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD")
    return refuse(response, 405, "METHOD_NOT_ALLOWED", "Send a GET.", { allow: "GET, HEAD" });
  const parcel = await read(token);
  const status = parcel === null ? 404 : 200;
  const [tag = "en"] =
    /^[a-z]{2,3}(-[a-z0-9]{2,8})*/i.exec(request.headers["accept-language"] ?? "") ?? [];
  const language = languageOf(tag);
  if (wantsJson(request.headers.accept)) {
    if (parcel !== null) return answer(response, status, parcel, HEADERS);
    return refuse(response, status, "NOT_FOUND", language.sharedPage.unknown(), HEADERS);
  }
  const content = pageOf(parcel, language, tag);
  const bytes = Buffer.from(content);
  response.writeHead(status, {
    ...HEADERS,
    "content-type": "text/html; charset=utf-8",
    "content-length": bytes.length,
  });
  response.end(bytes);
}

/** A browser names text/html; who names JSON and no page is a program. */
function wantsJson(accept = ""): boolean {
  return accept.includes("application/json") && !accept.includes("text/html");
}

function pageOf(parcel: SharedParcel | null, language: Language, tag: string): string {
  const { sharedPage, status } = language;
  const title = parcel === null ? sharedPage.title() : status(parcel.status);
  // Nobody is known to whom the times are told, so they are UTC's; it stands beside each.
  const calendar = calendarOf(language, tag, "UTC");
  return html`<!doctype html>
<html lang="${language.tag}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"><title>${title}</title></head>
<body>
${
  parcel === null
    ? html`<p>${sharedPage.unknown()}</p>`
    : html`<h1>${title}</h1>
<dl>
${factsOf(parcel, calendar).map(
  ([label, text]) => html`<dt>${label}</dt><dd>${text}</dd>
`,
)}</dl>`
}
</body>
</html>
`.toString();
}

/** What the page tells, in its order; nothing where there is nothing to tell. */
function factsOf(parcel: SharedParcel, calendar: Calendar): (readonly [string, string])[] {
  const { labels, sharedPage } = calendar.language;
  const instant = (occurredAt: string) =>
    timeOf({ occurredAt, localTime: null, timeZone: null, isDateOnly: false }, calendar);
  const delivered = timeOf(
    {
      occurredAt: parcel.deliveredAt,
      localTime: parcel.deliveredLocalTime,
      timeZone: parcel.deliveredTimeZone,
      isDateOnly: false,
    },
    calendar,
  );
  const scanned = timeOf(
    {
      occurredAt: parcel.lastScanAt,
      localTime: parcel.lastScanLocalTime,
      timeZone: parcel.lastScanTimeZone,
      isDateOnly: parcel.isLastScanADate ?? false,
    },
    calendar,
  );
  const facts: readonly (readonly [string, string | null])[] = [
    [labels.carrier, inert(parcel.carrierName)],
    [sharedPage.since(), instant(parcel.statusChangedAt)],
    [labels.estimate, delivered === null ? estimateOf(parcel, calendar) : null],
    [sharedPage.delivered(), delivered],
    [sharedPage.lastScan(), scanned],
    [labels.place, inert(parcel.lastScanLocation)],
    [sharedPage.worksUntil(), instant(parcel.expiresAt)],
  ];
  return facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
}
