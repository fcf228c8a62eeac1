import { timeFromIso } from "../carriers/carrierTime.ts";
import type { NewBook } from "../sql/trackBook.ts";
import { readId } from "./id.ts";
import { LONGEST, refusal } from "./refusals.ts";

/** What is said of a book, beside its carrier and number. Left out and null are the same here. */
export interface SaidBook {
  readonly title?: string | null | undefined;
  readonly author?: string | null | undefined;
  readonly owner?: string | null | undefined;
  /** Decimal text. */
  readonly declaredValue?: string | null | undefined;
  readonly declaredCurrency?: string | null | undefined;
  readonly appBookId?: string | null | undefined;
  readonly trackingUrl?: string | null | undefined;
  readonly sentOn?: string | null | undefined;
}

/** As numeric(12, 2) holds it. */
const AMOUNT = /^\d{1,10}(\.\d{1,2})?$/;
/** As the constraint parcel_books_tracking_url_is_https has it. */
const LONGEST_URL = 2000;

/**
 * A book as the database takes it.
 * @throws InputError for what makes no sense by itself
 */
export function readBook(said: SaidBook): Omit<NewBook, "carrier" | "trackingNumber"> {
  const { title, author, owner, declaredValue, declaredCurrency, appBookId, trackingUrl, sentOn } =
    said;
  if (!title?.trim()) throw refusal("NO_TITLE");
  if (title.length > LONGEST.title) throw refusal("LONG_TITLE", title);
  if (author != null && author.length > LONGEST.author) throw refusal("LONG_AUTHOR", author);
  if ((declaredValue ?? null) === null ? declaredCurrency != null : declaredCurrency == null)
    throw refusal("VALUE_WITHOUT_CURRENCY");
  if (declaredValue != null && !AMOUNT.test(declaredValue))
    throw refusal("BAD_VALUE", declaredValue);
  if (declaredCurrency != null && !/^[a-z]{3}$/i.test(declaredCurrency))
    throw refusal("BAD_CURRENCY", declaredCurrency);
  if (appBookId != null && appBookId.length > LONGEST.appBookId)
    throw refusal("LONG_APP_BOOK_ID", appBookId);
  if (trackingUrl != null && !isHttps(trackingUrl)) throw refusal("BAD_URL", trackingUrl);
  if (sentOn != null && timeFromIso(sentOn)?.precision !== "date")
    throw refusal("BAD_DATE", sentOn);
  return {
    title,
    author: author ?? undefined,
    owner: owner == null ? undefined : readId("ownerId", "user", owner),
    declaredValue: declaredValue ?? undefined,
    declaredCurrency: declaredCurrency?.toUpperCase(),
    appBookId: appBookId ?? undefined,
    trackingUrl: trackingUrl ?? undefined,
    sentOn: sentOn ?? undefined,
  };
}

function isHttps(url: string): boolean {
  return URL.parse(url)?.protocol === "https:" && !/\s/.test(url) && url.length <= LONGEST_URL;
}
