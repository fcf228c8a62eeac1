import { z } from "zod";
import type { Message, News } from "./message.ts";

/** Standard Webhooks asks for less than 20 kB; what a receiver may count on. */
const MOST_BYTES = 20_000;

const user = z.object({
  id: z.uuid(),
  /** The app's own id. */
  appUserId: z.string().nullable(),
});

const book = z.object({
  id: z.uuid(),
  /** The app's own id. */
  appBookId: z.string().nullable(),
  title: z.string(),
  author: z.string().nullable(),
  /** The same news in the app: `bookpost.notifications.id`. */
  notificationId: z.uuid(),
});

const news = z.object({
  user,
  parcel: z.object({
    id: z.uuid(),
    carrierCode: z.string(),
    carrierName: z.string(),
    trackingNumber: z.string(),
    /** The page to follow it on; perhaps a link of the carrier's or the owner's. */
    trackingPage: z.string().nullable(),
  }),
  /** The books of this user that travel in the parcel, by title. */
  books: z.array(book).min(1),
  /** How many more there are than fit in the message; GraphQL has them all. */
  moreBooks: z.int().nonnegative(),
  /** As `bookpost.parcel_statuses` lists them. */
  status: z.string(),
  /** Rises with each change of the parcel's status: what has a lower one is older news, in whatever order they arrive. */
  statusVersion: z.int(),
  isActionRequired: z.boolean(),
  /** The carrier's own words: escape them where they are shown. */
  detail: z.string().nullable(),
  location: z.string().nullable(),
  /** When the carrier saw it, in UTC; null where it gave neither offset nor zone. */
  occurredAt: z.iso.datetime().nullable(),
  /** What the wall clock showed there, without an offset. */
  localTime: z.string().nullable(),
  /** The zone or offset that the carrier gave. */
  timeZone: z.string().nullable(),
  isDateOnly: z.boolean(),
  /** Expected delivery, as wall clocks at the destination show it, without an offset. */
  estimate: z
    .object({
      from: z.string().nullable(),
      until: z.string().nullable(),
      timeZone: z.string().nullable(),
      isDateOnly: z.boolean(),
    })
    .nullable(),
});

/** When it happened, in UTC; the same in every attempt. */
const timestamp = z.iso.datetime();

/**
 * What is sent to an endpoint, as JSON. `book.status_changed`: a new stage;
 * `book.action_required`: the carrier waits for the recipient;
 * `book.estimate_changed`: expected a day or more earlier or later than told
 * before; `bookpost.test`: asked for by a person, tells nothing. A receiver
 * leaves alone what it does not know: fields and types may be added.
 */
export const webhookEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["book.status_changed", "book.action_required", "book.estimate_changed"]),
    timestamp,
    data: news,
  }),
  z.object({
    type: z.literal("bookpost.test"),
    timestamp,
    /** Null: asked for without a user. */
    data: z.object({ user: user.nullable() }),
  }),
]);

export type WebhookEvent = z.infer<typeof webhookEvent>;

/** In this order: a message that tells one book of a stage and another of a call for action is about the stage. */
const TYPES = [
  ["stage", "book.status_changed"],
  ["action_required", "book.action_required"],
  ["estimate", "book.estimate_changed"],
] as const satisfies readonly (readonly [News["kind"], WebhookEvent["type"]])[];

/**
 * The body of a message: the same bytes in each attempt, for as long as the
 * database says the same; under 20 kB, by leaving out books.
 */
export function webhookBody({ person, news, createdAt }: Message): string {
  const told = person && { id: person.id, appUserId: person.appUserId };
  const [first] = news;
  if (first === undefined || told === null)
    return JSON.stringify({
      type: "bookpost.test",
      timestamp: utc(createdAt),
      data: { user: told },
    } satisfies WebhookEvent);

  const [, type] = TYPES.find(([kind]) => news.some((n) => n.kind === kind)) ?? TYPES[0];
  const withBooks = (count: number): string =>
    JSON.stringify({
      type,
      // Not the delivery's: that is another after a redrive.
      timestamp: utc(news.map((n) => n.createdAt).toSorted()[0] ?? createdAt),
      data: {
        user: told,
        parcel: {
          id: first.parcel.id,
          carrierCode: first.parcel.carrierCode,
          carrierName: first.parcel.carrierName,
          trackingNumber: first.parcel.trackingNumber,
          trackingPage: first.parcel.trackingPage,
        },
        books: news.slice(0, count).map((n) => ({
          id: n.book.id,
          appBookId: n.book.appBookId,
          title: n.book.title,
          author: n.book.author,
          notificationId: n.notificationId,
        })),
        moreBooks: news.length - count,
        status: first.status,
        statusVersion: first.statusVersion,
        isActionRequired: first.isActionRequired,
        detail: first.detail,
        location: first.location,
        occurredAt: first.occurredAt === null ? null : utc(first.occurredAt),
        localTime: first.localTime,
        timeZone: first.timeZone,
        isDateOnly: first.isDateOnly,
        estimate: estimateOf(first),
      },
    } satisfies WebhookEvent);

  let count = news.length;
  while (count > 1 && Buffer.byteLength(withBooks(count)) > MOST_BYTES)
    count = Math.ceil(count / 2);
  while (count < news.length && Buffer.byteLength(withBooks(count + 1)) <= MOST_BYTES) count += 1;
  return withBooks(count);
}

function estimateOf(n: News) {
  if (n.estimatedFrom === null && n.estimatedUntil === null) return null;
  return {
    from: n.estimatedFrom,
    until: n.estimatedUntil,
    timeZone: n.estimatedTimeZone,
    isDateOnly: n.isEstimateADate,
  };
}

/** Postgres writes the offset of its session; the same instant shall be the same bytes. */
function utc(time: string): string {
  return new Date(time).toISOString();
}
