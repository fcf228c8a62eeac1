import { checkTrackingNumber, normalizeTrackingNumber } from "../carriers/trackingNumber.ts";
import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { type FoundBook, findBooks } from "../sql/findBooks.ts";
import { idRange, SHORTEST_PREFIX } from "./idRange.ts";

/**
 * The id of the one book that `text` means: its id, the beginning of it, or a
 * tracking number. Where a number was used again, the live parcel is meant.
 * @throws UsageError UNKNOWN_BOOK, or AMBIGUOUS_BOOK naming the candidates.
 */
export async function resolveBook(db: Queryable, text: string): Promise<string> {
  const trackingNumber = normalizeTrackingNumber(text);
  const ids = idRange(text);
  if (ids === null && !checkTrackingNumber("any", trackingNumber).ok) throw unknown(text);
  const found = await findBooks(db, { ids, trackingNumber });

  const byNumber = found.filter((book) => book.foundBy === "number");
  const live = byNumber.filter((book) => book.isLive);
  const meant = [
    ...found.filter((book) => book.foundBy === "id"),
    ...(live.length > 0 ? live : byNumber),
  ];
  const unique = [...new Map(meant.map((book) => [book.id, book])).values()];
  if (unique.length > 1) throw ambiguous(text, unique);
  if (unique[0] === undefined) throw unknown(text);
  return unique[0].id;
}

function unknown(text: string): UsageError {
  return new UsageError(
    "UNKNOWN_BOOK",
    `There is no book "${text}": give its id, at least the first ${SHORTEST_PREFIX} characters of it, or its tracking number; npx bookpost list shows them.`,
  );
}

function ambiguous(text: string, books: readonly FoundBook[]): UsageError {
  const list = books
    .map(({ id, title, carrierCode, trackingNumber }) =>
      [id, `"${title}"`, carrierCode, trackingNumber].filter(Boolean).join(" "),
    )
    .join("; ");
  return new UsageError(
    "AMBIGUOUS_BOOK",
    `"${text}" means ${books.length} books; give more of the id of the one you mean: ${list}.`,
  );
}
