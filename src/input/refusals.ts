import { InputError } from "../errors.ts";

type NameOf = (input: string) => string;

interface Refusal {
  /** As the API calls the input. */
  readonly input: string;
  /** The constraint of the database that holds the same, or a part of it. */
  readonly constraint?: string;
  /** `value` is what was said; undefined where the database refused it, or it is nobody's business. */
  readonly tell: (nameOf: NameOf, value?: string) => string;
}

/** Longest title and author, name, and id of an app's: the constraints named below. */
export const LONGEST = { title: 500, author: 500, name: 200, appBookId: 200, reason: 500 } as const;

/** Longest life of a public link, a leap year; as in tracking_links_expire_within_a_year. */
export const MOST_LINK_DAYS = 366;

/** Characters of a value that a sentence repeats. Chosen: a number and its typing errors. */
const SHOWN = 60;

function isNot(value: string | undefined): string {
  return value === undefined ? "." : `; "${value.slice(0, SHOWN)}" is not.`;
}

function tooLong(what: string, most: number) {
  return (_: NameOf, value?: string) =>
    `${what} has at most ${most} characters${value === undefined ? "." : `; this one has ${value.length}.`}`;
}

/**
 * Code → what is told of an input that is refused by itself. Rules that need the
 * database (a book that is there, a number that is verified) are the database's.
 */
const REFUSALS = {
  NO_TITLE: {
    input: "title",
    constraint: "books_title_is_not_blank",
    tell: (name) => `A book needs a title: add ${name("title")} 'The Name of the Rose'.`,
  },
  LONG_TITLE: { input: "title", tell: tooLong("A title", LONGEST.title) },
  LONG_AUTHOR: {
    input: "author",
    constraint: "books_author_is_short",
    tell: tooLong("An author", LONGEST.author),
  },
  VALUE_WITHOUT_CURRENCY: {
    input: "declaredCurrency",
    constraint: "books_declared_value_has_a_currency",
    tell: (name) =>
      `${name("declaredValue")} and ${name("declaredCurrency")} go together: ${name("declaredValue")} 120 ${name("declaredCurrency")} EUR.`,
  },
  BAD_VALUE: {
    input: "declaredValue",
    constraint: "books_declared_value_is_not_negative",
    tell: (name, value) =>
      `${name("declaredValue")} must be an amount such as 120 or 99.90${isNot(value)}`,
  },
  BAD_CURRENCY: {
    input: "declaredCurrency",
    constraint: "books_declared_currency_is_iso_4217",
    tell: (name, value) =>
      `${name("declaredCurrency")} must be three letters such as EUR${isNot(value)}`,
  },
  BAD_URL: {
    input: "trackingUrl",
    constraint: "parcel_books_tracking_url_is_https",
    tell: (name, value) =>
      `${name("trackingUrl")} must be an https address of at most 2,000 characters${isNot(value)}`,
  },
  BAD_DATE: {
    input: "sentOn",
    tell: (name, value) => `${name("sentOn")} must be a day such as 2025-08-26${isNot(value)}`,
  },
  LONG_APP_BOOK_ID: {
    input: "appBookId",
    constraint: "books_app_book_id_is_short",
    tell: tooLong("An app's id of a book", LONGEST.appBookId),
  },
  NO_REASON: {
    input: "reason",
    tell: (name) =>
      `Say how you know: add ${name("reason")} 'it lies on my table'. It is kept with the parcel's scans.`,
  },
  LONG_REASON: { input: "reason", tell: tooLong("A reason", LONGEST.reason) },
  BAD_DAYS: {
    input: "days",
    constraint: "tracking_links_expire_within_a_year",
    tell: (name, value) =>
      `${name("days")} must be a whole number from 1 to ${MOST_LINK_DAYS}${isNot(value)}`,
  },
  BAD_EMAIL: {
    input: "email",
    constraint: "users_email_has_one_at",
    tell: (name) => `${name("email")} must be one address such as reader@example.org.`,
  },
  LONG_NAME: {
    input: "name",
    constraint: "users_name_is_short",
    tell: tooLong("A name", LONGEST.name),
  },
  BAD_PHONE: {
    input: "phoneNumber",
    constraint: "users_phone_number_is_e164",
    tell: (name) => `${name("phoneNumber")} must be a phone number with its country.`,
  },
  COUNTRY_WITHOUT_PHONE: {
    input: "country",
    tell: (name) =>
      `${name("country")} goes with ${name("phoneNumber")}: ${name("phoneNumber")} "020 7946 0123" ${name("country")} GB.`,
  },
  BAD_LANGUAGE: {
    input: "language",
    constraint: "users_language_is_a_tag",
    tell: (name, value) =>
      `${name("language")} must be a language tag such as en or pt-BR${isNot(value)}`,
  },
  BAD_TIME_ZONE: {
    input: "timeZone",
    constraint: "users_time_zone_is_known",
    tell: (name, value) =>
      `${name("timeZone")} must be a zone such as Europe/London or America/New_York${isNot(value)}`,
  },
  BAD_QUIET_HOURS: {
    input: "quietHours",
    constraint: "users_quiet_hours_have_both_ends",
    tell: (name, value) =>
      `${name("quietHours")} must be two different hours such as 22:00-07:00${isNot(value)}`,
  },
} as const satisfies Readonly<Record<string, Refusal>>;

export type RefusalCode = keyof typeof REFUSALS;

/** The error that refuses an input; to be thrown. `value` is repeated in it. */
export function refusal(
  code: RefusalCode,
  value?: string,
  options: { cause?: unknown } = {},
): InputError {
  const { input, tell } = REFUSALS[code] as Refusal;
  return new InputError(code, input, (nameOf) => tell(nameOf, value), options);
}

/** Postgres's SQLSTATE for a zone it does not know. The constraint only asks for it, so it has no name here. */
const UNKNOWN_ZONE = "22023";

/**
 * What the database refused of an input, though it had passed here: its zones
 * and its idea of white space are not those of Node. Null for every other error.
 * Nothing of the value is told.
 */
export function brokenRule(error: unknown): InputError | null {
  const { code, constraint, message } = Object(error) as {
    code?: string;
    constraint?: string;
    message?: string;
  };
  if (code === UNKNOWN_ZONE && message?.startsWith("time zone"))
    return refusal("BAD_TIME_ZONE", undefined, { cause: error });
  if (code !== "23514" || constraint === undefined) return null;
  const found = Object.entries<Refusal>(REFUSALS).find(
    ([, rule]) => rule.constraint === constraint,
  );
  return found === undefined ? null : refusal(found[0] as RefusalCode, undefined, { cause: error });
}
