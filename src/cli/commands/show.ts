import { Command } from "commander";
import type { BookDetails } from "../../sql/readBook.ts";
import { readBook } from "../../sql/readBook.ts";
import { readEvents, type StoredEvent } from "../../sql/readEvents.ts";
import { type ParcelDetails, readParcelsOfBook } from "../../sql/readParcelsOfBook.ts";
import { readWhy, type Why } from "../../sql/readWhy.ts";
import { carrierEstimate, carrierTime } from "../carrierTime.ts";
import type { CliContext } from "../context.ts";
import { type EventJson, eventTable } from "../eventTable.ts";
import { labels } from "../labels.ts";
import { oneLine } from "../oneLine.ts";
import { fromNowAndUtc } from "../ownTime.ts";
import { reasonText } from "../reasonText.ts";
import { resolveBook } from "../resolveBook.ts";
import { words } from "../words.ts";

type ShownEvent = EventJson & Pick<StoredEvent, "isOfEarlierLife">;

interface ShownParcel extends ParcelDetails {
  readonly why: Pick<Why, "reason" | "until"> | null;
  readonly events: readonly ShownEvent[];
}

export function showCommand(context: CliContext): Command {
  return new Command("show")
    .description("a book: where it is, how we know and when we look again")
    .argument("<book>", "book id, the beginning of one, or tracking number")
    .action((text: string) =>
      context.withDatabase(async (db) => {
        const id = await resolveBook(db, text);
        const book = await readBook(db, id);
        const parcels = await readParcelsOfBook(db, id);
        const parcelIds = parcels.map((parcel) => parcel.id);
        const reasons = await readWhy(db, parcelIds, parcelIds.length);
        const events = await readEvents(db, parcelIds);
        const shown = parcels.map((parcel): ShownParcel => {
          const why = reasons.find((w) => w.parcelId === parcel.id);
          return {
            ...parcel,
            why: why === undefined ? null : { reason: why.reason, until: why.until },
            events: events.filter((event) => event.parcelId === parcel.id).map(toJson),
          };
        });
        context.print({
          json: { book, parcels: shown },
          text: (width) =>
            [
              book === null ? "" : bookText(book),
              ...shown.map((parcel) => parcelText(parcel, width)),
              ...(shown.length === 0 ? ["It is in no parcel."] : []),
            ].join("\n\n"),
        });
      }),
    );
}

function toJson({ parcelId: _, occurredAt, ...event }: StoredEvent): ShownEvent {
  return { occurredAt: occurredAt?.toISOString() ?? null, ...event };
}

function bookText(book: BookDetails): string {
  const by = book.author === null ? "" : ` by ${oneLine(book.author)}`;
  return [
    `${oneLine(book.title)}${by}`,
    labels([
      ["book", book.id],
      ["app's id", book.appBookId],
      ["owner", [book.ownerName, book.ownerId].filter(Boolean).join(", ")],
      [
        "value",
        book.declaredValue === null ? null : `${book.declaredValue} ${book.declaredCurrency}`,
      ],
    ]),
  ].join("\n");
}

function parcelText(parcel: ShownParcel, width: number): string {
  return [
    `${oneLine(parcel.carrierName)} ${parcel.trackingNumber}`,
    labels([
      ["status", statusWords(parcel)],
      ["carrier says", carrierWords(parcel)],
      ["to do", parcel.isActionRequired ? "the carrier waits for something from you" : null],
      ["expected", expected(parcel)],
      ["delivered", delivered(parcel)],
      ["signed by", parcel.signedBy === null ? null : oneLine(parcel.signedBy)],
      ["looked", looked(parcel)],
      ["why", ending(parcel)],
      ["not counted", notCounted(parcel)],
      ["page", parcel.trackingPage],
    ]),
    "",
    eventTable(parcel.events, width),
  ].join("\n");
}

/** "in transit: On its way."; a meaning that is the word itself is not told twice. */
function statusWords({ status, statusText }: ParcelDetails): string {
  const word = words(status);
  return statusText.toLowerCase() === `${word}.` ? word : `${word}: ${statusText}`;
}

function carrierWords({ rawText, rawStatus }: ParcelDetails): string | null {
  if (rawText === null) return rawStatus;
  return `${oneLine(rawText)}${rawStatus === null ? "" : ` (${oneLine(rawStatus)})`}`;
}

function expected(parcel: ParcelDetails): string | null {
  const { estimatedFrom: from, estimatedUntil: until, estimatedTimeZone: timeZone } = parcel;
  // What was expected is of no interest once it has come.
  if (from === null || until === null || parcel.status === "delivered") return null;
  return carrierEstimate({ from, until, timeZone });
}

function delivered(parcel: ParcelDetails): string | null {
  return carrierTime({
    occurredAt: parcel.deliveredAt,
    localTime: parcel.deliveredLocalTime,
    timeZone: parcel.deliveredTimeZone,
  });
}

/** Numbers are used again, and what was scanned long before this parcel is another's: said, with the way out. */
function notCounted({ events, carrierCode, trackingNumber }: ShownParcel): string | null {
  const { length } = events.filter(({ isOfEarlierLife }) => isOfEarlierLife);
  if (length === 0) return null;
  return `${length} of the scans below: taken for an earlier parcel's with this number. If they are not, say when it was posted: npx bookpost track ${carrierCode} ${trackingNumber} --title … --sent-on <date>`;
}

/** How fresh all this is. */
function looked({ lastLookedAt, lastAnsweredAt, lastOutcome, lastError }: ParcelDetails): string {
  if (lastLookedAt === null) return "not yet";
  const outcome = lastOutcome === null ? "" : `, ${words(lastOutcome)}`;
  const error = lastError === null ? "" : ` (${oneLine(lastError)})`;
  const isOld = lastAnsweredAt?.getTime() !== lastLookedAt.getTime();
  const answered =
    lastAnsweredAt === null
      ? "; the carrier has never answered"
      : `; last answer ${fromNowAndUtc(lastAnsweredAt)}`;
  return `${fromNowAndUtc(lastLookedAt)}${outcome}${error}${isOld ? answered : ""}`;
}

function ending({ closedAt, closedReason, stoppedAt, why }: ShownParcel): string | null {
  if (closedAt !== null)
    return `no longer looked up: ${closedReason}, closed ${fromNowAndUtc(closedAt)}`;
  if (stoppedAt !== null)
    return `no longer tracked for this book, stopped ${fromNowAndUtc(stoppedAt)}`;
  return why === null ? null : reasonText(why);
}
