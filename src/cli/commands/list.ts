import { Command } from "commander";
import { PARCEL_STATUSES } from "../../carriers/carrier.ts";
import { UsageError } from "../../errors.ts";
import { type ListedBook, listBooks } from "../../sql/listBooks.ts";
import { listBooksWithStatus } from "../../sql/listBooksWithStatus.ts";
import { carrierEstimate, carrierTime } from "../carrierTime.ts";
import type { CliContext } from "../context.ts";
import { fromNow } from "../ownTime.ts";
import { parseLimit } from "../parseLimit.ts";
import { type Column, table } from "../table.ts";
import { words } from "../words.ts";

const columns: readonly Column<ListedBook>[] = [
  // Eight digits of a uuid are unique far beyond what a person lists.
  { title: "book", of: ({ id }) => id.slice(0, 8) },
  { title: "title", of: ({ title }) => title, isFree: true },
  { title: "author", of: ({ author }) => author, isFree: true },
  { title: "carrier", of: ({ carrierCode }) => carrierCode },
  { title: "number", of: ({ trackingNumber }) => trackingNumber },
  { title: "status", of: ({ status }) => (status === null ? "no parcel" : words(status)) },
  { title: "when", of: when, isFree: true },
  {
    title: "looked",
    of: ({ lastLookedAt }) => (lastLookedAt === null ? "not yet" : fromNow(lastLookedAt)),
  },
];

function when(book: ListedBook): string | null {
  const delivered = carrierTime({
    occurredAt: book.deliveredAt,
    localTime: book.deliveredLocalTime,
    timeZone: book.deliveredTimeZone,
  });
  if (delivered !== null) return delivered;
  if (book.estimatedFrom === null || book.estimatedUntil === null) return null;
  return `expected ${carrierEstimate({ from: book.estimatedFrom, until: book.estimatedUntil, timeZone: book.estimatedTimeZone })}`;
}

export function listCommand(context: CliContext): Command {
  return new Command("list")
    .description("the books, newest first; with --status, newest change first")
    .option("--status <status>", `only these: ${PARCEL_STATUSES.join(", ")}`, parseStatus)
    .option("--limit <n>", "at most so many", parseLimit, 50)
    .action(({ status, limit }: { status?: string; limit: number }) =>
      context.withDatabase(async (db) => {
        // One more than shown tells whether there are more.
        const found =
          status === undefined
            ? await listBooks(db, limit + 1)
            : await listBooksWithStatus(db, status, limit + 1);
        const books = found.slice(0, limit);
        context.print({
          json: books,
          text: (width) =>
            books.length > 0
              ? table(columns, books, width)
              : status === undefined
                ? "No books yet: npx bookpost track <carrier> <number> --title '…' adds one."
                : `No book is ${words(status)}.`,
        });
        if (found.length > limit)
          context.remark(`There are more: --limit ${limit * 2} shows them.`);
      }),
    );
}

function parseStatus(text: string): string {
  const status = text.trim().toLowerCase().replaceAll(/[\s-]/g, "_");
  if ((PARCEL_STATUSES as readonly string[]).includes(status)) return status;
  throw new UsageError(
    "BAD_STATUS",
    `There is no status "${text}"; there are ${PARCEL_STATUSES.join(", ")}.`,
  );
}
